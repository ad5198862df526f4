"""A running cluster: its executors, their first task, its traffic, the telling line of its errors."""

import sys
import threading
from typing import Any, Final

from pyspark.sql import SparkSession

from xlrec.errors import MachineError
from xlrec.runtime import machine

#: Settings, one of each row, that protect a cluster's traffic; the first of a row is proposed.
_PROTECTION: Final = (("spark.authenticate",), ("spark.network.crypto.enabled", "spark.ssl.rpc.enabled"))
#: Words of the lines that tell most of a worker that cannot start.
_TELLING: Final = ("Cannot run program", "PYTHON_VERSION_MISMATCH", "ModuleNotFoundError", "ImportError")


def missing_protection(session: SparkSession) -> list[str] | None:
    """Settings still to make, so that the cluster's processes authenticate each other and encrypt their traffic.

    None where Spark is one process, or where the platform takes care of it (Databricks).
    """
    conf = session.sparkContext.getConf()
    databricks = conf.contains("spark.databricks.clusterUsageTags.clusterId")
    if databricks or machine.is_local(str(session.sparkContext.master)):
        return None
    return [names[0] for names in _PROTECTION if all(conf.get(name) != "true" for name in names)]


def warn_of_open_network(session: SparkSession) -> None:
    """Prints the settings that protect a cluster's traffic, where they are missing."""
    if lacking := missing_protection(session):
        lines = " ".join(f"--conf {name}=true" for name in lacking)
        risk = "whoever reaches this cluster's network can read its data and run code on it; to prevent it, add"
        print(f"xlrec: note: {risk} {lines}", file=sys.stderr)  # noqa: T201


def executor_count(session: SparkSession) -> int:
    """Number of executors now; 1 for a local master, whose driver does their work."""
    context: Any = session.sparkContext
    return int(context._jsc.sc().getExecutorMemoryStatus().size()) - (not machine.is_local(str(context.master)))


def error_line(error: Exception) -> str:
    """Most telling line of a Spark error: a worker's own where there is one, at most 400 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in _TELLING)]
    line = (telling or lines or [type(error).__name__])[0]
    return line.partition("Error from python worker:")[2].strip() or line[:400]


def await_executor(session: SparkSession, seconds: float) -> None:
    """Waits until a first task has run.

    Raises:
        MachineError: the task failed, or none ran within the time.
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
        seen = f"a task of {context.master} fails before xlrec's code runs ({error_line(failed[0])})"
        raise MachineError(f"{seen}: its machines need the driver's Python; PYSPARK_PYTHON names it on both sides")
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
