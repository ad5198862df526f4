"""Number of tasks after a shuffle, one for the whole session, and short messages of tasks to the driver."""

from typing import TYPE_CHECKING

from pyspark import AccumulatorParam
from pyspark.sql import DataFrame, SparkSession

if TYPE_CHECKING:
    from pyspark import Accumulator

TaskMessages = frozenset[tuple[int, str]]
"""Messages, each with its task's number; a repeated attempt of a task adds nothing."""


class _SetUnion(AccumulatorParam[TaskMessages]):
    def zero(self, value: TaskMessages) -> TaskMessages:
        return type(value)()

    def addInPlace(self, value1: TaskMessages, value2: TaskMessages) -> TaskMessages:  # noqa: N802  # Spark's name
        return value1 | value2


def task_messages(session: SparkSession) -> "Accumulator[TaskMessages]":
    """Accumulator of the messages that tasks add at their ends, a few words each."""
    return session.sparkContext.accumulator(TaskMessages(), _SetUnion())


def shuffle_tasks(session: SparkSession) -> int | None:
    """Number of tasks after a shuffle, from the session's settings; None where Spark chooses."""
    setting = session.conf.get("spark.sql.shuffle.partitions") or ""
    return int(setting) if setting.isdigit() else None


def spread_by_hash(frame: DataFrame, column: str) -> DataFrame:
    """Rows by hash of a column, in the session's number of shuffle tasks; a number keeps tasks from merging."""
    n_tasks = shuffle_tasks(frame.sparkSession)
    return frame.repartition(n_tasks, column) if n_tasks else frame.repartition(column)
