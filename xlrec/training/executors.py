"""Processes that TorchDistributor starts as tasks on executors, which need not see the driver's disk.

Their inputs reach every executor as one archive, which Spark unpacks there; the output of the first process comes back
as rows, a few at a time.
"""

import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from xlrec.errors import ConfigError, MachineError
from xlrec.runtime.cluster import error_line
from xlrec.runtime.files import PARTS, replaced_folder, withdraw_added, write_part
from xlrec.runtime.machine import cannot_write
from xlrec.runtime.scratch import scratch_of
from xlrec.training.barrier import OUTCOME, run_in_task, with_output_rows
from xlrec.training.processes import decode_outcome

#: Parts in which the output comes back: Spark has one of them in memory at a time.
_N_PARTS: Final = 32


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
) -> Any:
    """Result of the first process's work, once the files that it wrote are in `output`, replaced as a whole.

    `work` takes `argument`, the path of each input on its machine and a folder of its own, whose folder `output` comes
    back; it gives what JSON can hold. The cluster has `within_s` seconds to make room.

    Raises:
        XlrecError: of the work.
        MachineError: no room, a package is missing, or the output cannot be written.
        EncoderError: a process broke off.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    distributor: Any = TorchDistributor(num_processes=n_processes, local_mode=False, use_gpu=use_gpu)
    require_slots(spark, distributor.num_tasks, within_s)
    with tempfile.TemporaryDirectory(prefix="inputs-", dir=scratch_of(spark)) as folder:
        archive = Path(folder, f"{Path(folder).name}.zip")  # a name that no other archive has
        packed = pack_archive(archive, inputs)
        try:
            with replaced_folder(output) as new, _archive_added(spark, archive), _log_server(spark, distributor):
                rows = _barrier_stage(spark, distributor, work, argument, archive.name, packed)
                return decode_outcome(_write_files(rows.repartition(_N_PARTS, "name", "start"), new))
        except (Py4JError, PySparkException, RuntimeError) as error:  # Spark's own, or TorchDistributor's
            raise MachineError(
                f"the training failed on its executors ({error_line(error)}): their logs say more"
            ) from error
        except OSError as error:
            cause = error.strerror or error
            raise MachineError(f"output: {output} cannot be written ({cause}): name another") from error


def pack_archive(archive: Path, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Path within the zip of each input, once it is written; weights would not shrink: nothing is compressed."""
    with zipfile.ZipFile(archive, "w", strict_timestamps=False) as opened:
        for name, place in inputs.items():
            paths = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
            root = place if place.is_dir() else place.parent
            for path in paths:
                opened.write(path, Path(name, path.relative_to(root)).as_posix())
    return {name: name if place.is_dir() else f"{name}/{place.name}" for name, place in inputs.items()}


def require_replaceable(folder: Path, mark: str) -> None:
    """Returns where an output may take the folder's place: it is absent, empty, or holds the file `mark`.

    Raises:
        ConfigError: the folder holds something else.
        MachineError: nothing can be written there.
    """
    if folder.exists() and not (folder / mark).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"output: {folder} is there and holds no {mark}, so it is not replaced: name another folder")
    cause = cannot_write(folder.absolute().parent)
    if cause is not None:
        raise MachineError(f"output: nothing can be written beside {folder} ({cause}): name another folder")


def _write_files(rows: DataFrame, folder: Path) -> str:
    """The outcome among the rows, once the others are files of the folder."""
    outcome = ""
    for row in rows.toLocalIterator():  # a partition at a time: a model need not fit into Spark's memory
        if row["name"] == OUTCOME:
            outcome = bytes(row["data"]).decode()
        else:
            write_part(folder / row["name"], row["start"], row["data"])
    return outcome


def _barrier_stage(spark: SparkSession, distributor: Any, work: Callable[..., Any], *arguments: Any) -> DataFrame:
    """Rows of `PARTS` from one barrier stage; as `TorchDistributor.run`, which would collect them into memory."""
    distributor._check_encryption()
    run = distributor._run_training_on_pytorch_file
    task = distributor._get_spark_task_function(run_in_task, work, run, None, *arguments)
    n_tasks = distributor.num_tasks
    return spark.range(0, n_tasks, 1, n_tasks).mapInArrow(with_output_rows(task), PARTS, barrier=True)


@contextmanager
def _log_server(spark: SparkSession, distributor: Any) -> Iterator[None]:
    """For the block, lines that processes print appear on stderr, where progress belongs."""
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


def task_slots(spark: SparkSession) -> int:
    """Number of tasks that run at once on the executors that are there, by cores and GPUs."""
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
    while (n_slots := task_slots(spark)) < n_processes:
        if time.monotonic() >= end:
            raise MachineError(
                f"finetune.processes: {n_processes} processes are tasks that run at once, and {context.master} has "
                f"room for {n_slots} after {within_s:g} s (spark.executor_within_s): lower it, or give more executors, "
                "cores (spark.executor.cores, spark.task.cpus) or GPUs"
            )
        time.sleep(0.5)


@contextmanager
def _archive_added(spark: SparkSession, archive: Path) -> Iterator[None]:
    """For the block, every executor unpacks the archive before its first task."""
    context: Any = spark.sparkContext
    context.addArchive(str(archive))
    try:
        yield
    finally:
        withdraw_added(context._jsc.sc().addedArchives(), archive.name)
