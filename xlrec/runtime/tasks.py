"""Into how many tasks work is cut, one number for all that a session shuffles; and what tasks tell the driver."""

from typing import TYPE_CHECKING

from pyspark import AccumulatorParam
from pyspark.sql import DataFrame, SparkSession

if TYPE_CHECKING:
    from pyspark import Accumulator

Told = frozenset[tuple[int, str]]
"""Number of a task and what it tells; a task that is tried twice tells once."""


class _Union(AccumulatorParam[Told]):
    def zero(self, value: Told) -> Told:
        return type(value)()

    def addInPlace(self, value1: Told, value2: Told) -> Told:  # noqa: N802  # Spark's name
        return value1 | value2


def told_by_tasks(session: SparkSession) -> "Accumulator[Told]":
    """What tasks will have told at their ends: few words each."""
    return session.sparkContext.accumulator(Told(), _Union())


def shuffle_tasks(session: SparkSession) -> int | None:
    """Tasks after a shuffle, as the session's settings say; None where they leave it to Spark."""
    told = session.conf.get("spark.sql.shuffle.partitions") or ""
    return int(told) if told.isdigit() else None


def spread(frame: DataFrame, column: str) -> DataFrame:
    """The rows by hash of a column, in as many tasks as the session shuffles into: a number, so that none merge."""
    n_tasks = shuffle_tasks(frame.sparkSession)
    return frame.repartition(n_tasks, column) if n_tasks else frame.repartition(column)
