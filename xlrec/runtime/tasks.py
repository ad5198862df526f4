"""Number of tasks after a shuffle, one for the whole session, and short messages of tasks to the driver."""

from typing import TYPE_CHECKING

from pyspark import AccumulatorParam
from pyspark.sql import DataFrame, SparkSession

if TYPE_CHECKING:
    from pyspark import Accumulator

Told = frozenset[tuple[int, str]]
"""Messages, each with its task's number; a repeated attempt of a task adds nothing."""


class _SetUnion(AccumulatorParam[Told]):
    def zero(self, value: Told) -> Told:
        return type(value)()

    def addInPlace(self, value1: Told, value2: Told) -> Told:  # noqa: N802  # Spark's name
        return value1 | value2


def told_by_tasks(session: SparkSession) -> "Accumulator[Told]":
    """Accumulator of the messages that tasks add at their ends, a few words each."""
    return session.sparkContext.accumulator(Told(), _SetUnion())


def shuffle_tasks(session: SparkSession) -> int | None:
    """Number of tasks after a shuffle, from the session's settings; None where Spark chooses."""
    setting = session.conf.get("spark.sql.shuffle.partitions") or ""
    return int(setting) if setting.isdigit() else None


def spread(frame: DataFrame, column: str) -> DataFrame:
    """Rows by hash of a column, in the session's number of shuffle tasks; a number keeps tasks from merging."""
    n_tasks = shuffle_tasks(frame.sparkSession)
    return frame.repartition(n_tasks, column) if n_tasks else frame.repartition(column)
