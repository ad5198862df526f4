"""Progress follows the tasks of its own stage's Spark jobs."""

import io
from time import monotonic
from typing import Any

from pyspark.sql import SparkSession

from xlrec.runtime.progress import Progress
from xlrec.runtime.tracking import TaskCounts, job_group


def settle(spark: SparkSession) -> None:
    """Waits, ten seconds at most, until Spark's status knows of all that has happened: it may lag behind.

    The events of all jobs, also of those that must not be counted, have arrived then: one look is enough.
    """
    context: Any = spark.sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty(10_000)


def test_the_tasks_of_the_block_are_counted_and_no_others(spark: SparkSession) -> None:
    spark.range(10, numPartitions=5).write.format("noop").mode("overwrite").save()
    with job_group(spark.sparkContext, "mine") as look:
        settle(spark)
        assert look().known == 0
        spark.range(10, numPartitions=3).write.format("noop").mode("overwrite").save()
        settle(spark)
        assert look() == TaskCounts(3, 3)
        with job_group(spark.sparkContext, "within") as inner:
            spark.range(10, numPartitions=2).write.format("noop").mode("overwrite").save()
            settle(spark)
            assert inner() == TaskCounts(2, 2)
        spark.range(10, numPartitions=4).write.format("noop").mode("overwrite").save()
        settle(spark)
        assert look() == TaskCounts(7, 7)
    assert spark.sparkContext.getLocalProperty("spark.jobGroup.id") is None


def test_a_stage_that_spark_skips_is_not_counted(spark: SparkSession) -> None:
    shuffled = spark.range(100, numPartitions=2).groupBy("id").count()
    with job_group(spark.sparkContext, "shuffles") as look:
        shuffled.write.format("noop").mode("overwrite").save()
        shuffled.write.format("noop").mode("overwrite").save()
        settle(spark)
        tasks = look()
    assert tasks.done == tasks.known > 0


def test_a_stage_logs_its_tasks_while_it_runs(spark: SparkSession) -> None:
    out = io.StringIO()
    progress = Progress(spark, stream=out, log_seconds=0.05)
    with progress.stage("embed", total=10, unit="texts") as stage:
        deadline = monotonic() + 30
        while "so far · about" not in out.getvalue() and monotonic() < deadline:  # a fast machine outruns the log
            spark.range(10, numPartitions=2).write.format("noop").mode("overwrite").save()
        stage.record_result(rows_out=10)
    assert "so far · about" in out.getvalue()
    assert "10 out" in out.getvalue()
