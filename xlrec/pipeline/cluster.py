"""Checks of a session before a night: executors, lake, inputs, traffic between machines."""

import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.errors import XlrecError
from xlrec.lake.delta import Lake
from xlrec.lake.input_files import list_files
from xlrec.runtime import machine
from xlrec.runtime.cluster import error_line, executor_count, missing_protection
from xlrec.runtime.doctor import GIB, MIN_DISK, WORKER_MODULES, Check, version_text
from xlrec.runtime.hadoop import FileSystem

#: Executors that have a row each; of more, those that fail.
_SHOWN: Final = 8
#: Tasks for each core, and how long each holds it: so every executor gets one.
_TASKS_PER_CORE: Final = 4
_HELD_S: Final = 0.2


def checks(spark: SparkSession, config: Config) -> list[Check]:
    """Everything that a night asks of its cluster, tried."""
    context, lacking = spark.sparkContext, missing_protection(spark)
    seen = f"{context.master}, Spark {spark.version}, {context.defaultParallelism} cores for tasks"
    return [
        Check("Spark", True, seen),
        *check_executors(spark, encoding=config.embed.encoder not in encoders.BUILT_IN),
        check_lake(spark, config.lake),
        *check_inputs(spark, config),
        *([] if lacking is None else [check_secrets(lacking)]),
    ]


def check_executors(spark: SparkSession, *, encoding: bool) -> list[Check]:
    """Every executor that a task reached: Python, packages (torch for `encoding`), disk, GPU."""
    modules = (*WORKER_MODULES, *(("torch",) if encoding else ()))
    context: Any = spark.sparkContext
    n_tasks = _TASKS_PER_CORE * context.defaultParallelism

    def look(_: Iterable[int]) -> Iterator[machine.Executor]:
        time.sleep(_HELD_S)
        yield machine.describe_executor(modules)

    try:
        seen_by_tasks = context.parallelize(range(n_tasks), n_tasks).mapPartitions(look).collect()
    except Exception as error:  # whatever stops a task is what the user asks for
        fix = "the workers need the driver's Python with xlrec's dependencies; PYSPARK_PYTHON names it"
        return [Check("executors", False, error_line(error), fix)]
    executors = sorted({executor.folder: executor for executor in seen_by_tasks}.values())
    n_there = max(1, executor_count(spark))
    given = context.getConf().contains("spark.executor.resource.gpu.amount")
    each = [_executor(executor, gpus_given=given) for executor in executors]
    shown = [check for check in each if len(each) <= _SHOWN or not check.ok]
    hosts = ", ".join(sorted({executor.host for executor in executors})[:_SHOWN])
    seen = f"tasks ran on {len(executors)} of {n_there}: {hosts}"
    fix = "the others were busy or came later: run it again"
    return [Check("executors", len(executors) >= n_there, seen, fix, required=False), *shown]


def _executor(executor: machine.Executor, *, gpus_given: bool) -> Check:
    name = f"executor on {executor.host}"
    seen = (
        f"Python {version_text(executor.python)}, {executor.free / GIB:,.1f} GiB free in {executor.folder}, "
        f"{executor.memory / GIB:,.1f} GiB of memory, GPU: {', '.join(executor.gpus) or 'none'}"
    )
    if executor.missing:
        fix = "install xlrec's dependencies there: the driver sends its own code, not what it imports"
        return Check(name, False, f"{seen}, without {', '.join(executor.missing)}", fix)
    if executor.gpus and not gpus_given:
        fix = "tasks get none: --conf spark.executor.resource.gpu.amount=1, with conf/gpus.sh as discovery script"
        return Check(name, False, seen, fix, required=False)
    fix = "spark.local.dir names a folder with room: executors keep the index and shuffles there"
    return Check(name, executor.free >= MIN_DISK, seen, fix, required=False)


def check_lake(spark: SparkSession, place: str) -> Check:
    """Files written by executors, listed, read and deleted by the driver, in the lake's own file system."""
    name = "lake"
    try:
        lake = Lake(spark, place)
        lake.check_reachable()
        probe = FileSystem(spark, f"{lake.root}/_doctor-{uuid.uuid4().hex[:8]}")
        try:
            began = time.perf_counter()
            spark.range(100, numPartitions=2).write.parquet(probe.place)
            probe.write(b"probe", "_driver")  # Spark reads no such names
            read = spark.read.parquet(probe.place).count(), probe.read_file("_driver")
            listed = {entry.name for entry in probe.list_children()}
        finally:
            probe.delete()
        took = time.perf_counter() - began
    except (XlrecError, PySparkException, Py4JError) as error:
        seen, _, fix = error_line(error).partition("): ")
        return Check(name, False, seen + (")" if fix else ""), fix or "its settings belong in spark.hadoop.*")
    fine = read == (100, b"probe") and "_driver" in listed and not probe.exists()
    fix = "a file that was written was not there: xlrec needs a file system that lists what was just written"
    return Check(name, fine, f"{lake.root}: written, listed, read and deleted in {took:.1f} s", fix)


def check_inputs(spark: SparkSession, config: Config) -> list[Check]:
    """Each input: its Parquet files."""
    results = []
    for name, place in config.inputs.model_dump().items():
        if place is None:
            continue
        try:
            files = list_files(spark, place, name)
            size = sum(file.size for file in files)
            results.append(Check(f"input {name}", True, f"{place}: {len(files):,} files, {size / (1 << 20):,.1f} MiB"))
        except XlrecError as error:
            results.append(Check(f"input {name}", False, str(error), f"correct inputs.{name}"))
    return results


def check_secrets(lacking: list[str]) -> Check:
    """Whether the processes of a cluster know each other."""
    fix = " ".join(f"--conf {name}=true" for name in lacking)
    seen = f"without {', '.join(lacking)}" if lacking else "authenticated and encrypted"
    return Check("traffic between machines", not lacking, seen, fix, required=False)
