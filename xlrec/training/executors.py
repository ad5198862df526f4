"""Processes that TorchDistributor starts as tasks on executors, which need not see the driver's disk.

What they read goes to every executor as one archive, which Spark unpacks there; what the first process writes comes
back as rows, a few at a time.
"""

import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from xlrec.errors import MachineError
from xlrec.runtime.cluster import reason
from xlrec.runtime.files import PARTS, lay_part, withdraw
from xlrec.runtime.scratch import scratch_of
from xlrec.training.barrier import ANSWER, Errand, in_task, with_files
from xlrec.training.parcels import pack, replaced
from xlrec.training.processes import unguarded

#: Bytes of what comes back that Spark has in memory at a time, about, and in how many parts.
_PART_BYTES: Final = 32 << 20
_FEWEST_PARTS: Final = 8
_MOST_PARTS: Final = 200
_RAISED: Final = re.compile(r"^(?:: |\[rank\d+\]: )?((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*)$", re.MULTILINE)


def run_on_executors(
    spark: SparkSession,
    n_processes: int,
    work: Callable[..., Any],
    argument: str,
    inputs: Mapping[str, Path],
    output: Path,
    *,
    use_gpu: bool,
    within_s: float,
    like: str = "",
) -> Any:
    """What the first process's work gives, once what it wrote is in `output`.

    Args:
        spark: The session, on a cluster.
        n_processes: Tasks that run at once; each finds the others by `joined`.
        work: Takes the argument, where this machine has the inputs (by their names), and a folder for what it makes, of
            which the folder `output` comes back; gives what JSON can hold.
        argument: Of the work.
        inputs: Files and folders of the driver.
        output: Folder of the driver, replaced as a whole.
        use_gpu: Tasks are given GPUs.
        within_s: Seconds until the cluster has room for the processes.
        like: Name of the input that tells about how large the output is.

    Raises:
        XlrecError: of the work.
        MachineError: no room, a package is missing, or the output cannot be written.
        EncoderError: a process broke off.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    distributor: Any = TorchDistributor(num_processes=n_processes, local_mode=False, use_gpu=use_gpu)
    require_slots(spark, distributor.num_tasks, within_s)
    with tempfile.TemporaryDirectory(prefix="inputs-", dir=scratch_of(spark)) as folder:
        archive = Path(folder, f"{Path(folder).name}.zip")  # whose name no other has
        errand = Errand(archive.name, pack(archive, inputs))
        size = sum(one.stat().st_size for one in inputs[like].rglob("*")) if like in inputs else 0
        n_parts = min(_MOST_PARTS, _FEWEST_PARTS + size // _PART_BYTES)
        with replaced(output) as made, _offered(spark, archive), _listening(spark, distributor):
            try:
                rows = _stage(spark, distributor, work, argument, errand).repartition(n_parts, "name", "start")
                return unguarded(_laid(rows, made))
            except (Py4JError, PySparkException, RuntimeError) as error:  # Spark's own, or TorchDistributor's
                seen = _raised_in(str(error)) or reason(error)
                raise MachineError(f"the training failed on its executors ({seen}): their logs say more") from error


def _laid(rows: DataFrame, folder: Path) -> str:
    """The answer among the rows, once the others are files of the folder."""
    told = ""
    for row in rows.toLocalIterator():  # a partition at a time: a model need not fit into Spark's memory
        if row["name"] == ANSWER:
            told = bytes(row["data"]).decode()
        else:
            lay_part(folder / row["name"], row["start"], row["data"])
    return told


def _stage(spark: SparkSession, distributor: Any, work: Callable[..., Any], argument: str, errand: Errand) -> DataFrame:
    """Rows of `PARTS` from one barrier stage; as `TorchDistributor.run`, which would collect them into memory."""
    distributor._check_encryption()
    run = distributor._run_training_on_pytorch_file
    function = distributor._get_spark_task_function(in_task, work, run, None, argument, errand)
    n_tasks = distributor.num_tasks
    return spark.range(0, n_tasks, 1, n_tasks).mapInArrow(with_files(function), PARTS, barrier=True)


@contextmanager
def _listening(spark: SparkSession, distributor: Any) -> Iterator[None]:
    """In the block what processes print is printed here, to stderr, where progress belongs."""
    from pyspark.ml.torch.log_communication import LogStreamingServer  # type: ignore[attr-defined]  # no stub has it

    server: Any = LogStreamingServer()
    distributor.driver_address = str(spark.conf.get("spark.driver.host"))
    with redirect_stdout(sys.stderr):
        server.start(spark_host_address=distributor.driver_address)
        distributor.log_streaming_server_port = server.port
        try:
            yield
        finally:
            server.shutdown()


def slots(spark: SparkSession) -> int:
    """Tasks that run at once on the executors that are there, by cores and GPUs."""
    context: Any = spark.sparkContext
    jvm = context._jsc.sc()
    return int(jvm.maxNumConcurrentTasks(jvm.resourceProfileManager().defaultResourceProfile()))


def require_slots(spark: SparkSession, n_processes: int, within_s: float) -> None:
    """Returns once the cluster has room; Spark itself would wait ten minutes, and then print a trace.

    Raises:
        MachineError: it has none within the time, or executors come and go.
    """
    context = spark.sparkContext
    if context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
        raise MachineError(
            "finetune.processes: tasks that wait for each other run on a fixed number of executors: give spark-submit "
            "`--conf spark.dynamicAllocation.enabled=false` and a number of executors"
        )
    end = time.monotonic() + within_s
    while (found := slots(spark)) < n_processes:
        if time.monotonic() >= end:
            raise MachineError(
                f"finetune.processes: {n_processes} processes are tasks that run at once, and {context.master} has "
                f"room for {found} after {within_s:g} s (spark.executor_within_s): lower it, or give more executors, "
                "cores (spark.executor.cores, spark.task.cpus) or GPUs"
            )
        time.sleep(0.5)


@contextmanager
def _offered(spark: SparkSession, archive: Path) -> Iterator[None]:
    """In the block every executor unpacks the archive before its first task; later ones do not look for it."""
    context: Any = spark.sparkContext
    context.addArchive(str(archive))
    try:
        yield
    finally:
        withdraw(context._jsc.sc().addedArchives(), archive.name)


def _raised_in(said: str) -> str:
    """The line of a trace that names the error, Python's where there is one; '' where there is none."""
    lines = [str(line)[:300] for line in _RAISED.findall(said)]
    return next((line for line in lines if not line.startswith("org.")), next(iter(lines), ""))
