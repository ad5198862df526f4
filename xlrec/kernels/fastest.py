"""Which first pass of the exact top-k is fastest on this machine: detected, then measured, never assumed."""

from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from xlrec.kernels.paths import PATHS

#: A path is tried where the processor names one of these instructions.
_FLAGS: Final = {
    "bf16": {"avx512_bf16", "amx_bf16", "bf16"},
    "int8": {"avx512_vnni", "avx_vnni", "amx_int8"},
}
_USERS, _ITEMS, _ROUNDS = 256, 2048, 4
_GAIN: Final = {
    "float32": 1.0,
    "bf16": 1.15,
    "int8": 1.4,
}  # times slower passes of it are, for what they leave to rescore


def supported(flags: frozenset[str]) -> tuple[str, ...]:
    """Paths that a processor with these flags has instructions for; float32 always."""
    return ("float32", *(name for name, wanted in _FLAGS.items() if wanted & flags))


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """The flags of this machine's processor; none where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return frozenset()
    found = [line.split(":", 1)[1] for line in lines if line.lower().startswith(("flags", "features"))]
    return frozenset(found[0].split()) if found else frozenset()


@lru_cache(maxsize=8)
def fastest(dim: int) -> tuple[str, ...]:
    """Supported paths, fastest first, by products of this dimension on this process's threads; about 30 ms."""
    names = supported(cpu_flags())
    if len(names) == 1:
        return names
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(_USERS + _ITEMS, dim)).astype(np.float32)
    least = dict.fromkeys(names, np.inf)
    ready = {name: (PATHS[name].block(vectors[:_USERS]), PATHS[name].block(vectors[_USERS:])) for name in names}
    scratch = {name: PATHS[name].scratch(_USERS * _ITEMS) for name in names}
    for _ in range(_ROUNDS):
        for name in names:
            began = perf_counter()
            PATHS[name].product(*ready[name], scratch[name])
            least[name] = min(least[name], (perf_counter() - began) * _GAIN[name])
    return tuple(sorted(names, key=least.__getitem__))
