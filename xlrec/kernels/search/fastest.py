"""Which first pass of the exact top-k is fastest on this machine: detected, then measured, never assumed."""

from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.paths import PATHS, Block, error_factors

#: A path is tried where the processor names one of these instructions.
_FLAGS: Final = {
    "bf16": {"avx512_bf16", "amx_bf16", "bf16"},
    "int8": {"avx512_vnni", "avx_vnni", "amx_int8"},
}
_USERS, _ITEMS, _ROUNDS = 256, 2048, 3
_CHECKED: Final = 16  # queries whose products are compared with float64 ones
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
    """Paths that work here, fastest first by products of this size on this process's threads; takes 0.1 to 1 s."""
    names = supported(cpu_flags())
    if len(names) == 1:
        return names
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(_USERS + _ITEMS, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[0, _USERS]] = dim**-0.5  # the largest sums: where 16 bits overflow on the way, they tell
    least = dict.fromkeys(names, np.inf)
    ready = {name: (PATHS[name].block(vectors[:_USERS]), PATHS[name].block(vectors[_USERS:])) for name in names}
    scratch = {name: PATHS[name].scratch(_USERS * _ITEMS) for name in names}
    for _ in range(_ROUNDS):
        for name in names:
            began = perf_counter()
            PATHS[name].product(*ready[name], scratch[name])
            least[name] = min(least[name], (perf_counter() - began) * _GAIN[name])
    sound = [name for name in names if name == "float32" or _sound(name, *ready[name], vectors)]
    return tuple(sorted(sound, key=least.__getitem__))


def _sound(name: str, queries: Block, items: Block, vectors: NDArray[np.float32]) -> bool:
    """Whether this machine's product keeps within the bound that the search relies on."""
    path = PATHS[name]
    raw = path.product(queries, items, path.scratch(_USERS * _ITEMS))
    values = (raw.astype(np.uint32) << 16).view(np.float32) if raw.dtype == np.uint16 else raw.astype(np.float64)
    scores = values[:_CHECKED] * queries.scales[:_CHECKED].astype(np.float64)[:, None] * items.scales
    exact = vectors[:_CHECKED].astype(np.float64) @ vectors[_USERS:].astype(np.float64).T
    norm, residual, more = error_factors(vectors.shape[1], path.roundoff, float(queries.residuals.max()))
    allowed = norm * np.linalg.norm(vectors[_USERS:], axis=1) + residual * items.residuals + more
    return bool((np.abs(scores - exact) <= path.relative * np.abs(scores) + allowed).all())
