"""Inverted lists of items around centroids, for an approximate search (inverted file: Jégou, Douze, Schmid 2011).

faiss learns the centroids by spherical k-means; faiss is the extra `ann`, and only `assign_lists` imports it.
Coordinates are scaled before: v'_j = s_j v_j and q'_j = q_j / s_j leave ⟨q, v⟩ as it is. With s_j the root mean square
of the queries' coordinate j, ‖v' - w'‖² is the mean of ⟨q, v - w⟩² over queries whose coordinates are independent, so
that items of similar scores share a list. Without the scales, large coordinates that few queries use would decide,
such as other markets' popularity.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.gather import gather_rows
from xlrec.kernels.search.items import Shards
from xlrec.kernels.search.topk import unit_queries

_SAMPLED: Final = 64  # vectors per list that the centroids are learnt from
_SWEEPS: Final = 8  # of k-means
_FEWEST: Final = 39  # vectors per list below which a list is too small to learn
_AT_ONCE: Final = 1 << 16  # vectors scaled at once
_LEAST_SCALE: Final = 1e-3  # of the largest scale: the least that a coordinate is scaled by


class InvertedLists(NamedTuple):
    """Items list after list, ascending by item_num within one; n items have a list."""

    means: NDArray[np.float32]  # (n_lists, dim) means of the lists' scaled vectors
    indptr: NDArray[np.int64]  # (n_lists + 1,) first position of each list
    nums: NDArray[np.int32]  # (n,) item_num at each position
    vectors: NDArray[np.float32]  # (n, dim) vectors of the items, not scaled


def default_list_count(n_items: int) -> int:
    """4 √n lists, fewer where they would hold less than a centroid is learnt from; at least 1."""
    return max(1, min(round(4 * math.sqrt(n_items)), n_items // _FEWEST))


def coordinate_scales(queries: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(dim,) float64 root mean square of each coordinate over the finite unit queries; 1 where there are none.

    It is bounded below. `queries` are (n_queries, dim) floating, all of them or a sample.
    """
    units, lengths = unit_queries(np.ascontiguousarray(queries, dtype=np.float64))
    usable = units[np.isfinite(lengths) & (lengths > 0)].astype(np.float64)
    spread = np.sqrt((usable**2).mean(axis=0)) if len(usable) else np.ones(units.shape[1])
    return np.maximum(spread, _LEAST_SCALE * float(spread.max(initial=0.0)))


def assign_lists(
    shards: Shards, norms: NDArray[np.float64], scales: NDArray[np.float64], *, n_lists: int, seed: int
) -> NDArray[np.int32]:
    """(n_items,) int32 list of each item, -1 where it can never rank; the same for the same seed and threads of faiss.

    Items whose norm is zero or not finite never rank. There are at most as many lists as items that can rank; some
    lists may stay empty.

    Args:
        shards: vectors of the items.
        norms: (n_items,) float64 norms of these.
        scales: (dim,) float64 of `coordinate_scales`.
        n_lists: lists to learn.
        seed: of the sample and of k-means.
    """
    import faiss

    seed %= 1 << 31
    nums = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    factors = (scales / (scales.max() * norms[nums].max(initial=0.0))).astype(np.float32)
    drawn = np.random.default_rng(seed).choice(nums, min(len(nums), _SAMPLED * n_lists), replace=False)
    learner = faiss.Kmeans(
        len(scales), n_lists, niter=_SWEEPS, seed=seed, spherical=True,
        min_points_per_centroid=1, max_points_per_centroid=_SAMPLED,
    )  # fmt: skip
    learner.train(gather_rows(shards, np.sort(drawn), len(factors)) * factors)
    lists = np.full(len(norms), -1, dtype=np.int32)
    for low in range(0, len(nums), _AT_ONCE):
        part = nums[low : low + _AT_ONCE]
        lists[part] = learner.index.search(gather_rows(shards, part, len(factors)) * factors, 1)[1][:, 0]
    return lists


def invert_lists(
    shards: Shards, owners: NDArray[np.int32], scales: NDArray[np.float64], vectors: NDArray[np.float32] | None = None
) -> InvertedLists:
    """The lists of `assign_lists`, without empty ones.

    Args:
        shards: vectors of the items.
        owners: (n_items,) int32 list of each item, -1: none.
        scales: (dim,) float64 that the lists were learnt with.
        vectors: (n, dim) float32, written to, such as a file; n is the number of items with a list. None: new memory.
    """
    nums = np.flatnonzero(owners >= 0)
    _, own, sizes = np.unique(owners[nums], return_inverse=True, return_counts=True)
    order = np.argsort(own, kind="stable")
    places = np.empty(len(nums), dtype=np.int64)
    places[order] = np.arange(len(nums))
    vectors = np.empty((len(nums), len(scales)), dtype=np.float32) if vectors is None else vectors
    sums = np.zeros((len(sizes), len(scales)))
    for first, rows in shards:
        here = slice(*np.searchsorted(nums, [first, first + len(rows)]))
        shard_vectors = np.asarray(rows)[nums[here] - first]
        vectors[places[here]] = shard_vectors
        np.add.at(sums, own[here], shard_vectors.astype(np.float64))
    means = (sums / sizes[:, None] * scales).astype(np.float32)
    return InvertedLists(means, np.concatenate([[0], np.cumsum(sizes)]), nums[order].astype(np.int32), vectors)
