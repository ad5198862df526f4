"""The logical date of a run whose config names none."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.errors import InputError

#: Newest rows after a long gap are clocks set wrongly where they are under this share of all rows.
_STRAY_SHARE: Final = 0.001
_MAX_GAP_DAYS: Final = 30
#: Whole days since 1970, rounded down: grouping by a number costs half of what grouping by a date does.
_EPOCH_DAY: Final = "unix_micros(timestamp) div 86400000000 - int(unix_micros(timestamp) % 86400000000 < 0)"


def days_of(interactions: DataFrame) -> DataFrame:
    """Rows per day (UTC): day date, n; as many as there are days. Years after 9999 (Python has none) do not count."""
    counts = interactions.groupBy(F.expr(_EPOCH_DAY).cast("int").alias("day")).agg(F.count("*").alias("n"))
    return counts.withColumn("day", F.date_from_unix_date("day")).where(F.year("day").between(1, 9999))


def default_run_date(days: Mapping[date, int]) -> date:
    """The day after the newest plausible interaction.

    From the newest day on, days behind a gap of more than 30 days that together hold under 0.1 % of all rows are
    left out: one row of the year 2099 must not move the whole run there. The clock plays no part.

    Raises:
        InputError: no interaction has a time.
    """
    if not days:
        raise InputError("no interaction has a timestamp, so nothing tells the run's date: name it as run_date")
    n_all, ordered = sum(days.values()), sorted(days)
    newest, n_stray = len(ordered) - 1, 0
    for place in range(len(ordered) - 1, 0, -1):
        n_stray += days[ordered[place]]
        if n_stray >= _STRAY_SHARE * n_all:
            break
        if (ordered[place] - ordered[place - 1]).days > _MAX_GAP_DAYS:
            newest = place - 1
    return ordered[newest] + timedelta(days=1)
