"""The only place that makes a SparkSession."""

import os
import sys
from pathlib import Path
from typing import Any, Final

from py4j.protocol import Py4JError
from pyspark import SparkConf
from pyspark import __version__ as pyspark_version
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from xlrec import machine
from xlrec.config import SparkConfig
from xlrec.errors import MachineError
from xlrec.startup import held_back

DELTA_VERSION: Final = "4.4.0"
#: Jars that Spark itself carries: leaving them out shrinks the first download from 87 MB to 16 MB.
_CARRIED_BY_SPARK: Final = (
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.logging.log4j:*",
    "org.apache.parquet:*",
    "com.github.luben:zstd-jni",
    "org.xerial.snappy:snappy-java",
)
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def delta_package(spark_version: str = pyspark_version) -> str:
    """The Maven coordinate of Delta for this Spark, such as `io.delta:delta-spark_4.1_2.13:4.4.0`."""
    return f"io.delta:delta-spark_{'.'.join(spark_version.split('.')[:2])}_2.13:{DELTA_VERSION}"


def settings(config: SparkConfig, master: str) -> dict[str, str]:
    """Spark settings of a session on this master; what spark-submit was given wins, and `config.conf` over all."""
    cores = len(os.sched_getaffinity(0))
    local = master.startswith("local")
    found = {
        "spark.jars.packages": delta_package(),
        "spark.jars.excludes": ",".join(_CARRIED_BY_SPARK),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.ansi.enabled": "true",
        # Results never depend on it: sums that order could change are made on integers.
        "spark.sql.adaptive.enabled": "true",
        # Keys that a task collects lists for before it sorts its rows instead: Spark's 128 sorts nearly always.
        "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "1000000",
    }
    if local:
        found |= {
            "spark.driver.memory": config.driver_memory,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.sql.shuffle.partitions": str(config.shuffle_partitions or 2 * cores),
            # Tasks that list an input of many files: Spark's default is one a file.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(2 * cores),
            "spark.log.level": "ERROR",
        }
    elif config.shuffle_partitions:
        found["spark.sql.shuffle.partitions"] = str(config.shuffle_partitions)
    return found | config.conf


def start(config: SparkConfig, app: str = "xlrec") -> SparkSession:
    """A session with Delta; the one that runs already (spark-submit, a notebook) is used as it is.

    Python workers get this interpreter and, one BLAS thread each, so that tasks do not fight over cores.
    """
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    root = str(Path(__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH", "")
    if root not in path.split(os.pathsep):  # workers import xlrec from the checkout where it is not installed
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, path]))
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started the JVM
    given = SparkConf()
    master = given.get("spark.master", "local[*]") if submitted else config.master
    builder = SparkSession.builder.appName(app)
    if not submitted:
        builder = builder.master(config.master)
    for key, value in settings(config, master or "").items():
        if not given.contains(key) or key in config.conf:
            builder = builder.config(key, value)
    if not submitted and machine.delta_jar(delta_package()) is None:
        print("fetching Delta's jars, once (16 MB); later starts need no network", file=sys.stderr)  # noqa: T201
    try:
        with held_back():
            session = builder.getOrCreate()
        jvm: Any = session._jvm
        loader = jvm.Thread.currentThread().getContextClassLoader()
        jvm.java.lang.Class.forName("io.delta.sql.DeltaSparkSessionExtension", False, loader)
    except Py4JError as error:
        raise MachineError(
            f"Spark came up without Delta: add `--packages {delta_package()}` to spark-submit, or put its jars on the "
            f"class path (`xlrec doctor` says more)"
        ) from error
    except PySparkRuntimeError as error:
        raise MachineError(
            f"Spark does not start ({error.getCondition()}): `xlrec doctor` says what is missing"
        ) from error
    return session
