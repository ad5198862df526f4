"""Several processes that TorchDistributor starts on this machine; those on executors are `xlrec.training.executors`."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from xlrec import errors
from xlrec.runtime.machine import is_local


def placement(master: str | None, settings: Mapping[str, str]) -> dict[str, bool]:
    """Where TorchDistributor runs the processes, as its arguments.

    On this machine where the master is local: the processes then see its GPUs as they are, which Spark need not know.
    On any other master on the executors, in one barrier stage, with a GPU each where a task gets a whole one.

    Args:
        master: of the session.
        settings: of the session.
    """
    local = master is not None and is_local(master)
    amount = float(settings.get("spark.task.resource.gpu.amount", "0"))
    return {"local_mode": local, "use_gpu": not local and amount >= 1}


def run_processes(n_processes: int, work: Callable[..., Any], *arguments: Any) -> Any:
    """What the first process's `work(*arguments)` gives; it needs a Spark session that is running.

    Args:
        n_processes: how many, on this machine; each finds the others by `joined`.
        work: gives what JSON can hold, alike in all processes; its errors that say what to do come back as they are.
        arguments: of the work.

    Raises:
        XlrecError: of the work.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    distributor: Any = TorchDistributor(num_processes=n_processes, local_mode=True, use_gpu=False)
    with redirect_stdout(sys.stderr):  # where progress belongs
        return unguarded(distributor.run(guarded, work, *arguments))


def guarded(work: Callable[..., Any], *arguments: Any) -> str:
    """What the work gives or says, as JSON: an error that says what to do is no crash of the process."""
    try:
        return json.dumps({"found": work(*arguments)})
    except errors.XlrecError as error:
        return refusal(error)


def refusal(error: errors.XlrecError) -> str:
    """The error as `guarded` gives it."""
    return json.dumps({"error": [type(error).__name__, str(error)]})


def unguarded(told: str) -> Any:
    """What `guarded` was given.

    Raises:
        XlrecError: what it caught.
    """
    found = json.loads(told)
    if "error" in found:
        name, message = found["error"]
        raise getattr(errors, name, errors.EncoderError)(message)
    return found["found"]


@contextmanager
def joined(*, gpu: bool) -> Iterator[tuple[int, int]]:
    """(rank, number of processes) for the block, in which this process is one of those that `run_processes` started.

    Args:
        gpu: Takes a GPU and NCCL where there is one for each process here; gloo else.
    """
    import os
    from datetime import timedelta

    import torch
    from torch import distributed

    n_gpus = torch.cuda.device_count() if gpu else 0
    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    backend = "nccl" if gpu and n_gpus >= n_here else "gloo"  # nccl wants a GPU for each process
    distributed.init_process_group(backend, timeout=timedelta(minutes=30))
    if n_gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % n_gpus)
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()


def agreed(value: float) -> float:
    """The first process's value in all of them, which may compute on unlike machines; in one process the value."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]


def teller(rank: int) -> Callable[[str], None]:
    """Writes progress to stderr in the first process, nothing in the others."""

    def say(line: str) -> None:
        if rank == 0:
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    return say
