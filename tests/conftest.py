"""Fixtures of every suite. Unit tests start no JVM: only tests that ask for `spark` do, and all share one session."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from worlds.programs import Programs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start no JVM go first: they fail soonest, and compile the kernels once for Spark's Python workers."""
    items.sort(key=lambda item: item.path.parent.name not in ("unit", "contracts"))


@pytest.fixture(scope="session")
def spark() -> "Iterator[SparkSession]":
    """One Spark with Delta for all: two cores, few partitions; a task is tried again, as on a cluster."""
    from xlrec.config.models import SparkConfig
    from xlrec.runtime.session import start_session

    conf = {
        "spark.sql.adaptive.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
        # `prepare` alone compiles 240 classes: of the default 100 entries nothing is left for the next night.
        "spark.sql.codegen.cache.maxEntries": "5000",
        # Else every column tells the JVM the line of Python that made it.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # G1 answers Parquet's large buffers with marking that takes a fifth of the JVM's time.
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    }
    session = start_session(
        SparkConfig(master="local[2,2]", driver_memory="2g", shuffle_partitions=2, conf=conf), "xlrec-tests"
    )
    yield session
    session.stop()


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Programs":
    """Programs in this process that must end before Spark starts."""
    from worlds.programs import Programs

    return Programs(monkeypatch, capsys)
