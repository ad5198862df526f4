"""The only place that makes a SparkSession."""

import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
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
from xlrec.runtime.cluster import await_executor, warn_of_open_network
from xlrec.runtime.hadoop import first_line
from xlrec.runtime.scratch import SCRATCH, own_folder, package_archive, scratch_of

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
_JARS, _PACKAGES, _EXCLUDES = "spark.jars", "spark.jars.packages", "spark.jars.excludes"
_LEVEL: Final = "spark.log.level"
_OUR_LEVEL: Final = "ERROR"
#: Environment variable with options of the JVM that spark-submit starts.
_OPTIONS: Final = "SPARK_SUBMIT_OPTS"
_LOGGING: Final = Path(__file__).with_name("log4j2.properties")
_BIND: Final = "spark.driver.bindAddress"
_PARTITIONS: Final = "spark.sql.shuffle.partitions"
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def delta_package(spark_version: str = pyspark_version) -> str:
    """The Maven coordinate of Delta for this Spark, such as `io.delta:delta-spark_4.1_2.13:4.4.0`."""
    return f"io.delta:delta-spark_{'.'.join(spark_version.split('.')[:2])}_2.13:{DELTA_VERSION}"


def session_settings(config: SparkConfig, master: str) -> dict[str, str]:
    """Spark settings of a session on this master. Those given to spark-submit win over ours, `config.conf` over all."""
    cores = len(os.sched_getaffinity(0))
    ours = {
        _PACKAGES: delta_package(),
        _EXCLUDES: ",".join(_CARRIED_BY_SPARK),
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
        _LEVEL: _OUR_LEVEL,
    }
    if machine.is_local(master):
        ours |= {
            "spark.driver.memory": config.driver_memory,
            "spark.driver.host": "127.0.0.1",
            _BIND: "127.0.0.1",
            "spark.ui.enabled": "false",
            _PARTITIONS: str(config.shuffle_partitions or 2 * cores),
            # Tasks that list an input of many files: Spark's default is one a file.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(2 * cores),
        }
    elif config.shuffle_partitions:
        ours[_PARTITIONS] = str(config.shuffle_partitions)
    if config.scratch:
        ours[SCRATCH] = config.scratch
    return ours | config.conf


def quiet_settings(chosen: Mapping[str, str], environment: MutableMapping[str, str]) -> dict[str, str]:
    """The settings for a JVM that says nothing but errors: by a file in `SPARK_SUBMIT_OPTS`, and without Ivy's report.

    Delta's jars are named as an earlier start found them, so that Ivy has nothing to do. Jars and packages of the
    user's, and files in Spark's conf folder, win.
    """
    ours, jars = dict(chosen), _resolved_jars()
    plain = _JARS not in ours and ours[_PACKAGES] == delta_package()
    if jars and plain and not (machine.spark_conf_folder() / "spark-defaults.conf").exists():
        del ours[_PACKAGES], ours[_EXCLUDES]
        ours[_JARS] = ",".join(jars)
    if _LOGGING.is_file() and not (machine.spark_conf_folder() / _LOGGING.name).exists():
        given = environment.get(_OPTIONS, "")
        if str(_LOGGING) not in given:
            environment[_OPTIONS] = f"-Dlog4j2.configurationFile='{_LOGGING}' {given}".strip()  # of two, the later wins
        if ours.get(_LEVEL) == _OUR_LEVEL:
            del ours[_LEVEL]  # Spark would announce it
    return ours


def start_session(config: SparkConfig, app: str = "xlrec") -> SparkSession:
    """A session with Delta. One that runs already, as in a notebook, is used as it is.

    Settings given to spark-submit win over ours, which suit the real master. Python workers get this interpreter, and
    one BLAS thread each, so that tasks do not compete for cores.

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
    builder, ours = SparkSession.builder.appName(app), session_settings(config, master)
    if not submitted:
        builder, ours = builder.master(config.master), quiet_settings(ours, os.environ)
    own_host = given.contains("spark.driver.host")  # its bind address goes with it
    for key, value in ours.items():
        if key in config.conf or not (given.contains(key) or (own_host and key == _BIND)):
            builder = builder.config(key, value)
    if not submitted and machine.delta_jar(delta_package()) is None:
        print("fetching Delta's jars, once (16 MB); later starts need no network", file=sys.stderr)  # noqa: T201
    session = _started(builder)
    if not submitted and ours.get(_PACKAGES) == delta_package():
        _keep_resolved_jars(session)
    _join(session)
    if submitted or not machine.is_local(master):
        await_executor(session, config.executor_within_s)
    partitioned = machine.is_local(master) or given.contains(_PARTITIONS) or _PARTITIONS in config.conf
    if not (partitioned or config.shuffle_partitions):
        session.conf.set(_PARTITIONS, str(2 * session.sparkContext.defaultParallelism))
    return session


def _jar_list() -> Path:
    return own_folder() / f"{delta_package().replace(':', '_')}.json"


def _resolved_jars() -> list[str]:
    """Paths of Delta's jars as Ivy resolved them at an earlier start; none unless all are there."""
    with suppress(OSError, ValueError):
        jars: list[str] = json.loads(_jar_list().read_text("utf-8"))
        return jars if all(Path(jar).is_file() for jar in jars) else []
    return []


def _keep_resolved_jars(session: SparkSession) -> None:
    jars = session.sparkContext.getConf().get(_JARS, "") or ""
    with suppress(OSError):  # without the list, the next start asks Ivy again
        _jar_list().write_text(json.dumps([jar.removeprefix("file://") for jar in jars.split(",") if jar]), "utf-8")


def _join(session: SparkSession) -> None:
    """Checks a session, whoever started it, and gives its workers the driver's code."""
    if session.version.rpartition(".")[0] not in SPARK_VERSIONS:
        raise MachineError(f"this is Spark {session.version}: xlrec needs Spark {' or '.join(SPARK_VERSIONS)}")
    if not machine.is_local(str(session.sparkContext.master)):
        # Workers run the driver's code, however it came here; Spark knows no wheels, and they may have another version.
        session.sparkContext.addPyFile(str(package_archive(Path(scratch_of(session)))))
        warn_of_open_network(session)


def _refuse_connect(master: str) -> None:
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
        session = builder.getOrCreate()
    except (Py4JError, PySparkRuntimeError) as error:
        cause = error.getCondition() if isinstance(error, PySparkRuntimeError) else first_line(error)
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
