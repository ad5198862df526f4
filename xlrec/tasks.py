"""Into how many tasks work is cut: one number for all that a session shuffles."""

from pyspark.sql import DataFrame, SparkSession


def shuffle_tasks(session: SparkSession) -> int | None:
    """Tasks after a shuffle, as the session's settings say; None where they leave it to Spark."""
    told = session.conf.get("spark.sql.shuffle.partitions") or ""
    return int(told) if told.isdigit() else None


def spread(frame: DataFrame, column: str) -> DataFrame:
    """The rows by hash of a column, in as many tasks as the session shuffles into: a number, so that none merge."""
    n_tasks = shuffle_tasks(frame.sparkSession)
    return frame.repartition(n_tasks, column) if n_tasks else frame.repartition(column)
