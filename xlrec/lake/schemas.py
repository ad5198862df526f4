"""Rows in the schema of a table of the lake."""

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from xlrec.errors import LakeError
from xlrec.tables import Table


def conform_to_table(table: Table, frame: DataFrame) -> DataFrame:
    """The frame's columns in the table's order.

    Raises:
        LakeError: a column is missing, not of the table, or of another type.
    """
    seen, wanted = _types(frame.schema), _types(table.schema)
    if seen != wanted:
        odd = sorted(name for name in seen.keys() | wanted.keys() if seen.get(name) != wanted.get(name))
        detail = "; ".join(
            f"{name}: {seen.get(name, 'absent')} instead of {wanted.get(name, 'nothing')}" for name in odd
        )
        raise LakeError(f"these rows do not fit the table {table.name} ({detail}): the stage {table.producer} must")
    return frame.select(*table.schema.names)


def _types(schema: StructType) -> dict[str, str]:
    """Type of each column, without comments and nullability."""
    return {field.name: field.dataType.simpleString() for field in schema.fields}
