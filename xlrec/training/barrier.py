"""Barrier tasks of a training: each runs one process on its executor, around TorchDistributor's own steps."""

import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyspark import cloudpickle

from xlrec.errors import EncoderError, MachineError
from xlrec.runtime.files import parts_of
from xlrec.runtime.worker import REUSED
from xlrec.training.processes import encoded_error, encoded_outcome

#: Packages that a process imports.
MODULES: Final = ("torch", "sentence_transformers", "safetensors", "numpy", "pyarrow", "pydantic", "numba")
#: Name of the row that holds the outcome and is no part of a file.
OUTCOME: Final = ""
_INTERFACE: Final = "GLOO_SOCKET_IFNAME"
_GET_ADDRESS: Final = 0x8915  # Linux: SIOCGIFADDR
_KILLED: Final = "its log says why; most often the machine had no memory left (spark.executor.memoryOverhead)"
#: Words in the error of a process that lost another one.
_CONSEQUENCES: Final = ("gloo", "NCCL", "Connection", "DistNetworkError", "DistStoreError", "Broken pipe")


def with_output_rows(task: Callable[..., Iterator[pa.RecordBatch]]) -> Callable[..., Iterator[pa.RecordBatch]]:
    """TorchDistributor's task, which also returns the files of the first process: rows of `files.PARTS`.

    The task gives the pickled result of `run_in_task` in chunks in the first task, and nothing in others.
    """

    def returning_files(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        chunks: list[Any] = [chunk for batch in task(batches) for chunk in batch.column("chunk").to_pylist()]
        if chunks:
            outcome, folder = cloudpickle.loads(b"".join(chunks))
            yield pa.RecordBatch.from_pydict({"name": [OUTCOME], "start": [0], "data": [outcome.encode()]})
            if folder:
                try:
                    yield from parts_of(Path(folder, "output"))
                finally:
                    shutil.rmtree(folder, ignore_errors=True)

    return returning_files


def run_in_task(
    params: dict[str, Any], work: Callable[..., Any], run: Callable[..., Any], argument: str, archive: str,
    inputs: dict[str, str],
) -> tuple[str, str]:  # fmt: skip
    """(outcome of the work as JSON, folder whose `output` the work wrote or '') in one barrier task.

    `archive` is its name among Spark's files, `inputs` are paths within it. Tasks share a failure, so that all end:
    Spark would retry what fails each time.
    """
    from pyspark import BarrierTaskContext, SparkFiles

    context = BarrierTaskContext.get()
    hosts = [task.address.partition(":")[0] for task in context.getTaskInfos()]
    rank = context.partitionId()
    failure = _first_failure(context, _missing_packages(hosts[rank]))
    if failure:
        return failure, ""
    paths = {name: str(Path(SparkFiles.get(archive)) / inner) for name, inner in inputs.items()}
    folder = tempfile.mkdtemp(prefix="xlrec-", dir=Path(SparkFiles.getRootDirectory()).absolute())
    keep = False
    try:
        with _environment(hosts, rank):
            outcome = _run_process(params, work, run, hosts[rank], argument, paths, folder)
        failure = _first_failure(context, outcome if "error" in json.loads(outcome) else "")
        keep = rank == 0 and not failure
        return failure or outcome, folder if keep else ""
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _run_process(params: dict[str, Any], work: Callable[..., Any], run: Any, host: str, *arguments: Any) -> str:
    """Outcome of the process that TorchDistributor starts for this task."""
    from pyspark.ml.torch.distributor import TorchDistributor

    start: Any = TorchDistributor._run_training_on_pytorch_function
    try:
        return str(start(params, _caught_outcome, run, host, work, *arguments))
    except RuntimeError:  # TorchDistributor found no result
        process = f"process {os.environ.get('RANK')} of the training was ended on {host}"
        return encoded_error(EncoderError(f"{process}: {_KILLED}"))


def _caught_outcome(host: str, work: Callable[..., Any], *arguments: Any) -> str:
    """As `encoded_outcome`, in the process itself, for errors of any kind, which TorchDistributor does not name."""
    try:
        return encoded_outcome(work, *arguments)
    except Exception as error:  # the other machines and the driver must know, whatever it was
        traceback.print_exc()
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        process = f"process {os.environ.get('RANK')} of the training broke off on {host}"
        return encoded_error(EncoderError(f"{process} ({message}): its trace stands above"))


def _first_failure(context: Any, failure: str) -> str:
    """A failure of all tasks, causes before consequences; '' where there is none."""
    failures = filter(None, context.allGather(failure))
    return min(failures, key=lambda text: any(word in text for word in _CONSEQUENCES), default="")


def _missing_packages(host: str) -> str:
    """The encoded error of a machine without the packages; '' where it has them."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    lack = f"no {', '.join(missing)}" if missing else ""
    if not missing:  # torch may be there and miss a library of the system
        trial = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, text=True, check=False)
        lack = trial.stderr.strip().rpartition("\n")[2][:300] if trial.returncode else ""
    fix = "install xlrec's dependencies there, or name a Python that has them by PYSPARK_PYTHON"
    return encoded_error(MachineError(f"finetune.processes: {sys.executable} on {host}: {lack}: {fix}")) if lack else ""


@contextmanager
def _environment(hosts: list[str], rank: int) -> Iterator[None]:
    """For the block, a process started here imports xlrec as this one does, and reaches the other machines."""
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    os.environ.pop(REUSED, None)
    interface = before.get(_INTERFACE) or interface_towards(host for host in hosts if host != hosts[rank])
    if interface is not None:
        os.environ[_INTERFACE] = interface
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def interface_towards(hosts: Iterable[str]) -> str | None:
    """Name of the network interface through which this machine reaches the first host that it can resolve.

    gloo would look up this machine's own name, which often means 127.0.1.1, or another machine's address where
    containers share a name; then it listens where nobody else reaches it.
    """
    for host in hosts:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((host, 9))  # sends nothing: the kernel chooses the route
                return next(
                    (name for _, name in socket.if_nameindex() if _address(probe, name) == probe.getsockname()[0]), None
                )
        except OSError:
            continue
    return None


def _address(probe: socket.socket, interface: str) -> str | None:
    try:
        return socket.inet_ntoa(ioctl(probe.fileno(), _GET_ADDRESS, struct.pack("256s", interface.encode()))[20:24])
    except OSError:  # it has none
        return None
