"""Processes of a training in barrier tasks: what each does on its executor, before and after TorchDistributor's own."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyspark import cloudpickle

from xlrec.errors import EncoderError, MachineError
from xlrec.runtime.files import parts_of
from xlrec.runtime.worker import REUSED
from xlrec.training.network import interface_towards
from xlrec.training.processes import guarded, refusal

#: What a process imports.
MODULES: Final = ("torch", "sentence_transformers", "safetensors", "numpy", "pyarrow", "pydantic", "numba")
#: Of the row that is no part of a file.
ANSWER: Final = ""
_INTERFACE: Final = "GLOO_SOCKET_IFNAME"
_KILLED: Final = "its log says why; most often the machine had no memory left (spark.executor.memoryOverhead)"
#: What a process says when another has gone.
_CONSEQUENCES: Final = ("gloo", "NCCL", "Connection", "DistNetworkError", "DistStoreError", "Broken pipe")


@dataclass(frozen=True)
class Errand:
    """What a task is told besides its work."""

    archive: str
    """Of the inputs, by its name among Spark's files."""
    places: Mapping[str, str]
    """Of the inputs in it."""


def with_files(function: Callable[..., Iterator[pa.RecordBatch]]) -> Callable[..., Iterator[pa.RecordBatch]]:
    """TorchDistributor's task, whose answer is followed by the files that it names: rows of `files.PARTS`.

    Args:
        function: Gives chunks of what `in_task` gives, pickled; nothing but in the first task.
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        chunks: list[Any] = [chunk for batch in function(batches) for chunk in batch.column("chunk").to_pylist()]
        if chunks:
            told, own = cloudpickle.loads(b"".join(chunks))
            yield pa.RecordBatch.from_pydict({"name": [ANSWER], "start": [0], "data": [told.encode()]})
            if own:
                try:
                    yield from parts_of(Path(own, "output"))
                finally:
                    shutil.rmtree(own, ignore_errors=True)

    return task


def in_task(
    params: dict[str, Any], work: Callable[..., Any], run: Callable[..., Any], argument: str, errand: Errand
) -> tuple[str, str]:
    """In a barrier task, called by TorchDistributor: (what `guarded` gives, folder with its `output` or '').

    What fails is told to the other tasks, so that all end: Spark would try again what fails each time.
    """
    from pyspark import BarrierTaskContext, SparkFiles

    context = BarrierTaskContext.get()
    hosts = [one.address.partition(":")[0] for one in context.getTaskInfos()]
    rank = context.partitionId()
    refused = _first_of(context, _lacking(hosts[rank]))
    if refused:
        return refused, ""
    root = Path(SparkFiles.get(errand.archive))
    places = {name: str(root / inner) for name, inner in errand.places.items()}
    own = tempfile.mkdtemp(prefix="xlrec-", dir=Path(SparkFiles.getRootDirectory()).absolute())
    kept = False
    try:
        with _environment(hosts, rank):
            told = _told(params, work, run, hosts[rank], argument, places, own)
        refused = _first_of(context, told if "error" in json.loads(told) else "")
        kept = rank == 0 and not refused
        return refused or told, own if kept else ""
    finally:
        if not kept:
            shutil.rmtree(own, ignore_errors=True)


def _told(params: dict[str, Any], work: Callable[..., Any], run: Callable[..., Any], host: str, *arguments: Any) -> str:
    """What the process of this task gives, as `guarded`."""
    from pyspark.ml.torch.distributor import TorchDistributor

    function: Any = TorchDistributor._run_training_on_pytorch_function
    try:
        return str(function(params, _all_told, run, host, work, *arguments))
    except RuntimeError:  # TorchDistributor found no result
        which = f"process {os.environ.get('RANK')} of the training was ended on {host}"
        return refusal(EncoderError(f"{which}: {_KILLED}"))


def _all_told(host: str, work: Callable[..., Any], *arguments: Any) -> str:
    """As `guarded`, in the process itself, for errors of any kind: TorchDistributor does not say what they were."""
    try:
        return guarded(work, *arguments)
    except Exception as error:  # whatever it was, the other machines and the driver must know
        traceback.print_exc()
        said = " ".join(str(error).split())[:300]
        which = f"process {os.environ.get('RANK')} of the training broke off on {host}"
        return refusal(EncoderError(f"{which} ({type(error).__name__}: {said}): its trace stands above"))


def _first_of(context: Any, failure: str) -> str:
    """The failure of all tasks that tells most, '' where there is none."""
    failures = filter(None, context.allGather(failure))
    return min(failures, key=lambda told: any(word in told for word in _CONSEQUENCES), default="")


def _lacking(host: str) -> str:
    """The refusal of a machine that has not all packages; '' where it has."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    said = "" if not missing else f"no {', '.join(missing)}"
    if not missing:  # one that is there may still miss a library of the system
        done = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, text=True, check=False)
        said = done.stderr.strip().rpartition("\n")[2][:300] if done.returncode else ""
    fix = "install xlrec's dependencies there, or name a Python that has them by PYSPARK_PYTHON"
    return refusal(MachineError(f"finetune.processes: {sys.executable} on {host}: {said}: {fix}")) if said else ""


@contextmanager
def _environment(hosts: list[str], rank: int) -> Iterator[None]:
    """In the block a process that is started here finds xlrec where this one does, and the other machines."""
    others = [host for host in hosts if host != hosts[rank]]
    settings: dict[str, str | None] = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), REUSED: None}
    if _INTERFACE not in os.environ:
        settings[_INTERFACE] = interface_towards(others)
    before = {name: os.environ.get(name) for name in settings}
    _set(settings)
    try:
        yield
    finally:
        _set(before)


def _set(settings: Mapping[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
