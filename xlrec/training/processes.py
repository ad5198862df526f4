"""Processes that TorchDistributor starts on this machine; those on executors are `xlrec.training.executors`."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from xlrec import errors
from xlrec.runtime.machine import is_local


def process_placement(master: str | None, settings: Mapping[str, str]) -> dict[str, bool]:
    """Arguments of TorchDistributor that say where the processes run.

    With a local master they run on this machine and see all its GPUs. With any other they run on the executors, in one
    barrier stage, with a GPU each where a task gets a whole one.
    """
    local = master is not None and is_local(master)
    gpus_per_task = float(settings.get("spark.task.resource.gpu.amount", "0"))
    return {"local_mode": local, "use_gpu": not local and gpus_per_task >= 1}


def run_processes(n_processes: int, work: Callable[..., Any], *arguments: Any) -> Any:
    """Result of `work(*arguments)` in the first of several processes on this machine; needs a running Spark session.

    Each joins the others by `process_group`; `work` gives what JSON can hold, the same in all processes.

    Raises:
        XlrecError: of the work.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    distributor: Any = TorchDistributor(num_processes=n_processes, local_mode=True, use_gpu=False)
    with redirect_stdout(sys.stderr):  # where progress belongs
        return decode_outcome(distributor.run(encoded_outcome, work, *arguments))


def encoded_outcome(work: Callable[..., Any], *arguments: Any) -> str:
    """JSON of the work's result, or of its `XlrecError`, which must not look like a crash of the process."""
    try:
        return json.dumps({"result": work(*arguments)})
    except errors.XlrecError as error:
        return encoded_error(error)


def encoded_error(error: errors.XlrecError) -> str:
    """JSON of an error, as in `encoded_outcome`."""
    return json.dumps({"error": [type(error).__name__, str(error)]})


def decode_outcome(outcome: str) -> Any:
    """Result in the JSON of `encoded_outcome`.

    Raises:
        XlrecError: the one that it holds.
    """
    decoded = json.loads(outcome)
    if "error" in decoded:
        name, message = decoded["error"]
        raise getattr(errors, name, errors.EncoderError)(message)
    return decoded["result"]


@contextmanager
def process_group(*, gpu: bool) -> Iterator[tuple[int, int]]:
    """(rank, number of processes) of this process, whose group of torch.distributed lasts for the block.

    With `gpu` it is NCCL where there is a GPU for each process; else gloo.
    """
    from datetime import timedelta

    import torch
    from torch import distributed

    n_gpus = torch.cuda.device_count() if gpu else 0
    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    backend = "nccl" if gpu and n_gpus >= n_here else "gloo"
    distributed.init_process_group(backend, timeout=timedelta(minutes=30))
    if n_gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % n_gpus)
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()


def broadcast_value(value: float) -> float:
    """The first process's value, in all of them; they may compute on unlike machines."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]


def progress_writer(rank: int) -> Callable[[str], None]:
    """Writer of progress lines to stderr; silent but in the first process."""

    def write_line(line: str) -> None:
        if rank == 0:
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    return write_line
