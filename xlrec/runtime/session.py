"""The only place that makes a SparkSession."""

import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark import __version__ as pyspark_version
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from xlrec.config.models import SparkConfig
from xlrec.errors import MachineError
from xlrec.runtime import machine
from xlrec.runtime.files import SCRATCH, scratch_of
from xlrec.runtime.scratch import package_archive
from xlrec.runtime.startup import held_back

#: By their first two numbers; xlrec is tried on these with this Delta.
SPARK_VERSIONS: Final = ("4.1", "4.2")
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
_BIND: Final = "spark.driver.bindAddress"
_PARTITIONS: Final = "spark.sql.shuffle.partitions"
_AUTHENTICATE: Final = "spark.authenticate"
_CRYPTO: Final = "spark.network.crypto.enabled"
_SSL_RPC: Final = "spark.ssl.rpc.enabled"
#: Of what a worker that cannot start says.
_TELLING: Final = ("Cannot run program", "PYTHON_VERSION_MISMATCH", "ModuleNotFoundError", "ImportError")
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def delta_package(spark_version: str = pyspark_version) -> str:
    """The Maven coordinate of Delta for this Spark, such as `io.delta:delta-spark_4.1_2.13:4.4.0`."""
    return f"io.delta:delta-spark_{'.'.join(spark_version.split('.')[:2])}_2.13:{DELTA_VERSION}"


def settings(config: SparkConfig, master: str) -> dict[str, str]:
    """Spark settings of a session on this master; what spark-submit was given wins, and `config.conf` over all."""
    cores = len(os.sched_getaffinity(0))
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
        # Tasks that read a table's log: Delta's 50 suit logs of a million files.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    if machine.is_local(master):
        found |= {
            "spark.driver.memory": config.driver_memory,
            "spark.driver.host": "127.0.0.1",
            _BIND: "127.0.0.1",
            "spark.ui.enabled": "false",
            _PARTITIONS: str(config.shuffle_partitions or 2 * cores),
            # Tasks that list an input of many files: Spark's default is one a file.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(2 * cores),
        }
    elif config.shuffle_partitions:
        found[_PARTITIONS] = str(config.shuffle_partitions)
    if config.scratch:
        found[SCRATCH] = config.scratch
    return found | config.conf


def start(config: SparkConfig, app: str = "xlrec") -> SparkSession:
    """A session with Delta; the one that runs already (spark-submit, a notebook) is used as it is.

    Settings that spark-submit was given, by whatever way, win over ours, which suit the real master. Python workers get
    this interpreter and, one BLAS thread each, so that tasks do not fight over cores.

    Raises:
        MachineError: Spark does not start, is Spark Connect or of another version, has no Delta, or on a cluster no
            task runs within the time.
    """
    _refuse_connect(config.master)
    running = SparkSession.getActiveSession()
    if running is not None:
        _join(running)
        return running
    _prepare_environment()
    submitted = machine.is_submitted()
    if submitted:
        SparkContext._ensure_initialized()  # else SparkConf knows nothing of what spark-submit was given
    given = SparkConf()
    master = (given.get("spark.master", "local[*]") if submitted else config.master) or ""
    builder = SparkSession.builder.appName(app)
    if not submitted:
        builder = builder.master(config.master)
    theirs = {_BIND} if given.contains("spark.driver.host") else set()  # one address goes with the other
    for key, value in settings(config, master).items():
        if not (given.contains(key) or key in theirs) or key in config.conf:
            builder = builder.config(key, value)
    if not submitted and machine.delta_jar(delta_package()) is None:
        print("fetching Delta's jars, once (16 MB); later starts need no network", file=sys.stderr)  # noqa: T201
    session = _started(builder)
    _join(session)
    if submitted or not machine.is_local(master):
        _await_executor(session, config.executor_within_s)
    partitioned = machine.is_local(master) or given.contains(_PARTITIONS) or _PARTITIONS in config.conf
    if not (partitioned or config.shuffle_partitions):
        session.conf.set(_PARTITIONS, str(2 * session.sparkContext.defaultParallelism))
    return session


def lacking_secrets(session: SparkSession) -> list[str] | None:
    """Settings that would make the cluster's processes know each other and encrypt what they say.

    None where Spark is one process, or where a platform that xlrec cannot see through sees to it (Databricks).
    """
    conf = session.sparkContext.getConf()
    if machine.is_local(str(session.sparkContext.master)) or conf.contains(
        "spark.databricks.clusterUsageTags.clusterId"
    ):
        return None
    encrypted = conf.get(_CRYPTO) == "true" or conf.get(_SSL_RPC) == "true"
    lacking = {_AUTHENTICATE: conf.get(_AUTHENTICATE) == "true", _CRYPTO: encrypted}
    return [name for name, given in lacking.items() if not given]


def _join(session: SparkSession) -> None:
    """What a session must be and have, whoever started it."""
    if session.version.rpartition(".")[0] not in SPARK_VERSIONS:
        raise MachineError(f"this is Spark {session.version}: xlrec needs Spark {' or '.join(SPARK_VERSIONS)}")
    if not machine.is_local(str(session.sparkContext.master)):
        # Workers run the driver's code, however it came here; Spark knows no wheels, and they may have another version.
        session.sparkContext.addPyFile(str(package_archive(Path(scratch_of(session)))))
        _warn_of_strangers(session)


def _warn_of_strangers(session: SparkSession) -> None:
    lacking = lacking_secrets(session)
    if lacking:
        lines = " ".join(f"--conf {one}=true" for one in lacking)
        said = "whoever reaches this cluster's network can read its data and run code on it; to prevent it, add"
        print(f"xlrec: note: {said} {lines}", file=sys.stderr)  # noqa: T201


def executor_count(session: SparkSession) -> int:
    """Executors that are there now; of a local master the driver, which does their work."""
    context: Any = session.sparkContext
    return int(context._jsc.sc().getExecutorMemoryStatus().size()) - (not machine.is_local(str(context.master)))


def reason(error: Exception) -> str:
    """The line of an error of Spark's that tells most: a worker's own where there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in _TELLING)]
    line = (telling or lines or [type(error).__name__])[0]
    return line.partition("Error from python worker:")[2].strip() or line[:400]


def _refuse_connect(master: str) -> None:
    """Raises where the session would be one of Spark Connect.

    Raises:
        MachineError: it would.
    """
    if is_remote() or "SPARK_REMOTE" in os.environ or master.startswith("sc://"):
        raise MachineError(
            "this is Spark Connect (SPARK_REMOTE, a master sc://…, or a serverless notebook), and xlrec needs classic "
            "Spark, whose driver sends files to its executors: use spark-submit, or a cluster that is not serverless"
        )


def _prepare_environment() -> None:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH", "")
    if root not in path.split(os.pathsep):  # workers import xlrec from the checkout where it is not installed
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, path]))
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")


def _started(builder: SparkSession.Builder) -> SparkSession:
    try:
        with held_back():
            session = builder.getOrCreate()
    except (Py4JError, PySparkRuntimeError) as error:
        cause = error.getCondition() if isinstance(error, PySparkRuntimeError) else _cause(error)
        raise MachineError(f"Spark does not start ({cause}): `xlrec doctor` says what is missing") from error
    try:
        jvm: Any = session._jvm
        loader = jvm.Thread.currentThread().getContextClassLoader()
        jvm.java.lang.Class.forName("io.delta.sql.DeltaSparkSessionExtension", False, loader)
    except Py4JError as error:
        raise MachineError(
            f"Spark came up without Delta: add `--packages {delta_package()}` to spark-submit, or put its jars on the "
            f"class path (`xlrec doctor` says more)"
        ) from error
    return session


def _cause(error: Py4JError) -> str:
    """The first line of what the JVM says."""
    said = getattr(error, "java_exception", None)
    return str(said.getMessage() if said is not None else error).partition("\n")[0]


def _await_executor(session: SparkSession, seconds: float) -> None:
    """Returns once a task has run.

    Raises:
        MachineError: none has within the time.
    """
    context, done, failed = session.sparkContext, threading.Event(), list[Exception]()

    def probe() -> None:
        try:
            context.range(1, numSlices=1).count()
        except Exception as error:
            failed.append(error)
        done.set()

    threading.Thread(target=probe, daemon=True).start()
    answered = done.wait(seconds)
    if failed:
        raise MachineError(
            f"a task of {context.master} fails before xlrec's code runs ({reason(failed[0])}): its machines need the "
            "driver's Python; PYSPARK_PYTHON names it on both sides"
        )
    if not answered:
        conf = context.getConf()
        driver = f"{conf.get('spark.driver.host')}:{conf.get('spark.driver.port')}"
        n_there = executor_count(session)
        context.cancelAllJobs()
        raise MachineError(
            f"no task has run on {context.master} within {seconds:g} s (spark.executor_within_s), {n_there} executors "
            f"are there: either the cluster has no room, or its machines cannot reach the driver at {driver}; name an "
            f"address that they reach by `--conf spark.driver.host=ADDRESS`"
        )
