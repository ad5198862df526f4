"""Small results of Spark on the driver."""

from typing import Any, Final

from pyspark.sql import DataFrame, Row

from xlrec.errors import InputError

#: Most rows of a report's aggregate, a table per market and the like; more is an error, not a crash of the driver.
MAX_DRIVER_ROWS: Final = 100_000


def bounded_rows(frame: DataFrame) -> list[Row]:
    """All rows of a small aggregate.

    Raises:
        InputError: there are more than `MAX_DRIVER_ROWS`.
    """
    rows = frame.take(MAX_DRIVER_ROWS + 1)
    if len(rows) > MAX_DRIVER_ROWS:
        raise InputError(f"{', '.join(frame.columns)}: more than {MAX_DRIVER_ROWS:,} rows, which the driver refuses")
    return rows


def one_row(frame: DataFrame) -> dict[str, Any]:
    """The only row of an aggregate, by column; empty where there is none."""
    row = frame.first()
    return row.asDict() if row is not None else {}
