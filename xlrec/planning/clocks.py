"""How fast this machine is: CPU seconds of a step, of one core beside the reference, of all cores at once."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import process_time
from typing import Any, Final

import numpy as np

#: Seconds of the fixed piece of work on the machine on which Spark's costs were measured.
REFERENCE_SECONDS: Final = 0.038
#: 1: about ten seconds in all; less is quicker and rougher.
PATIENCE = 1.0
_BUSY: Final = """
import hashlib, sys, time
import numpy as np
a = np.random.default_rng(0).random((256, 256), dtype=np.float32)
sys.stdin.readline()
began, cpu, n = time.perf_counter(), time.process_time(), 0
while time.perf_counter() < began + 0.5:
    a @ a; np.sort(a, axis=1); hashlib.sha256(a).digest(); n += 1
print(n / (time.process_time() - cpu))
"""


def timed(step: Callable[[], Any], seconds: float, least: int = 3) -> float:
    """Median CPU seconds of a step that runs until the time is over, after one that warms up.

    CPU time, so that what else runs here does not count.
    """
    step()
    found: list[float] = []
    while len(found) < least or sum(found) < seconds * PATIENCE:
        began = process_time()
        step()
        found.append(process_time() - began)
    return median(found)


def fixed_work() -> float:
    """Seconds of a fixed piece of work: sorting, hashing, and Python's own loop."""
    numbers = np.random.default_rng(0).random(400_000)
    raw = numbers.tobytes()

    def work() -> None:
        np.sort(numbers)
        hashlib.sha256(raw).digest()
        sum(value * value for value in range(400_000))

    return timed(work, 0.4)


def crowded(n_cores: int) -> float:
    """Time of a piece of work while all cores work over its time on one core alone; at least 1."""
    alone, together = _rate(1), _rate(n_cores)
    return max(1.0, alone / together) if n_cores > 1 else 1.0


def _rate(n_processes: int) -> float:
    """Rounds of a process in a second of CPU time, on average, while so many work at once."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-c", _BUSY]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603
        for _ in range(n_processes)
    ]
    for process in started:
        assert process.stdin is not None  # noqa: S101  # it is a pipe
        process.stdin.write("\n")
        process.stdin.flush()
    return float(np.mean([float(process.communicate()[0]) for process in started]))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and BLAS, as in a Spark task."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
