"""The first pass of the exact top-k that is fastest on this machine: measured, never assumed."""

from functools import lru_cache
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.items import Shards, norms_of
from xlrec.kernels.search.paths import PATHS, Block, error_factors
from xlrec.runtime.machine import cpu_flags

#: A path is tried where the processor names one of these instructions.
_FLAGS: Final = {"bf16": {"avx512_bf16", "amx_bf16", "bf16"}, "int8": {"avx512_vnni", "avx_vnni", "amx_int8"}}
_USERS, _ITEMS, _ROUNDS = 256, 2048, 3
_CHECKED: Final = 16  # queries whose products are compared with float64 ones
_GAIN: Final = {"float32": 1.0, "bf16": 1.15, "int8": 1.4}  # factors on the seconds, for the cost of more rescoring
_SMALL: Final = 1 << 21  # numbers in all items below which float32 is fast enough
_MIN_INT8_DIM: Final = 160  # below it, int8's coarse scores cost more than its faster product saves
_FEW_QUERIES: Final = 160  # below it, rounding the items costs more than it saves
_COARSE: Final = 0.25  # int8 is left where its residuals are a larger part of the scores' spread
_SAMPLED: Final = 64  # items of a shard that the spread is estimated from


def first_pass_for(shards: Shards, norms: NDArray[np.float64] | None = None, *, n_queries: int | None = None) -> str:
    """Name of the fastest path for these items: a key of `kernels.search.paths.PATHS`.

    `norms`, (n_items,) float64 of the items, and `n_queries` in all are given where known.
    """
    few = n_queries is not None and n_queries < _FEW_QUERIES
    if few or sum(rows.size for _, rows in shards) < _SMALL:
        return "float32"
    dim = shards[0][1].shape[1]
    ranking = paths_by_speed(dim)
    finer = next(name for name in ranking if name != "int8")
    if ranking[0] != "int8" or dim < _MIN_INT8_DIM:
        return finer
    parts = [(first, np.asarray(rows), max(1, len(rows) // _SAMPLED)) for first, rows in shards[:16]]
    sample = np.concatenate([rows[::step] for _, rows, step in parts])
    nums = np.concatenate([first + np.arange(0, len(rows), step) for first, rows, step in parts])
    sampled_norms = (norms_of(shards) if norms is None else norms)[nums]
    ranks = np.isfinite(sampled_norms) & (sampled_norms > 0)
    if not ranks.any():
        return "float32"
    vectors = sample[ranks].astype(np.float64)
    spread = np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).mean())  # of scores, in an average direction
    return "int8" if np.median(PATHS["int8"].round_vectors(sample[ranks]).residuals) <= _COARSE * spread else finer


def supported_paths(flags: frozenset[str]) -> tuple[str, ...]:
    """Paths that a processor with these flags has instructions for; float32 always."""
    return ("float32", *(name for name, wanted in _FLAGS.items() if wanted & flags))


@lru_cache(maxsize=8)
def paths_by_speed(dim: int) -> tuple[str, ...]:
    """Paths that work here, fastest first by products of this size on this process's threads; takes 0.1 to 1 s."""
    names = supported_paths(cpu_flags())
    if len(names) == 1:
        return names
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(_USERS + _ITEMS, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[0, _USERS]] = dim**-0.5  # the largest sums: a 16-bit overflow would show here
    seconds = dict.fromkeys(names, np.inf)
    queries = {name: PATHS[name].round_vectors(vectors[:_USERS]) for name in names}
    items = {name: PATHS[name].round_vectors(vectors[_USERS:]) for name in names}
    scratch = {name: PATHS[name].new_scratch(_USERS * _ITEMS) for name in names}
    for _ in range(_ROUNDS):
        for name in names:
            began = perf_counter()
            PATHS[name].raw_scores(queries[name], items[name], scratch[name])
            seconds[name] = min(seconds[name], (perf_counter() - began) * _GAIN[name])
    sound = [name for name in names if name == "float32" or _within_bound(name, queries[name], items[name], vectors)]
    return tuple(sorted(sound, key=seconds.__getitem__))


def _within_bound(name: str, queries: Block, items: Block, vectors: NDArray[np.float32]) -> bool:
    """Whether this machine's product keeps within the error bound that the search relies on."""
    path = PATHS[name]
    raw = path.raw_scores(queries, items, path.new_scratch(_USERS * _ITEMS))
    values = (raw.astype(np.uint32) << 16).view(np.float32) if raw.dtype == np.uint16 else raw.astype(np.float64)
    scores = values[:_CHECKED] * queries.scales[:_CHECKED].astype(np.float64)[:, None] * items.scales
    exact = vectors[:_CHECKED].astype(np.float64) @ vectors[_USERS:].astype(np.float64).T
    norm, residual, added = error_factors(vectors.shape[1], path.roundoff, float(queries.residuals.max()))
    bound = norm * np.linalg.norm(vectors[_USERS:], axis=1) + residual * items.residuals + added
    return bool((np.abs(scores - exact) <= path.relative * np.abs(scores) + bound).all())
