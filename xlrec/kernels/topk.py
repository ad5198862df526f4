"""Exact top-k by inner product: a float32 matrix product proposes, float64 in a fixed order decides.

A float32 score of a unit query is within eps = gamma_(d+2) · max ‖v‖ of the exact one, in whatever order the product
sums (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., eq. 3.5). An item of the exact top k therefore
has a float32 score of at least (k-th best float32 score) - 2 eps. The scan keeps all such items, so that the float64
order of what it keeps is the order of a full float64 search, for every block size.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.scan import Mask, choose, dots, scan, settle, tighten

__all__ = ["Mask", "Shards", "inner_products", "norms_of", "top_k"]

#: Vectors of items row-aligned by item_num: (first item_num, (rows, dim) float32), ascending, without gaps.
Shards = Sequence[tuple[int, NDArray[np.float32]]]

_UNIT: Final = 2.0**-24  # unit roundoff of float32
_SAFETY: Final = 1.01  # covers the float64 roundings of bound, norm and score
_LARGEST_ITEM: Final = 2.0**120
_QUERY_RANGE: Final = (1e-100, 1e100)


def norms_of(shards: Shards) -> NDArray[np.float64]:
    """(n_items,) float64 Euclidean norms; NaN or inf where a vector is not finite."""
    found = [np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1)) for _, rows in shards]
    return np.concatenate(found) if found else np.zeros(0)


def top_k(
    queries: NDArray[np.floating[Any]],
    shards: Shards,
    k: int,
    mask: Mask,
    *,
    norms: NDArray[np.float64] | None = None,
    zero_vectors: bool = True,
    user_block: int = 1024,
    item_block: int = 8192,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Item numbers and float64 scores of each query's best k allowed items, (score desc, item_num asc).

    The result does not depend on `user_block` and `item_block`. A query or an item that is not finite never ranks.

    Args:
        queries: (n_users, dim), any scale; float64 scores are made from these numbers.
        shards: Item vectors, float32.
        k: At least 1.
        mask: What each user may get.
        norms: (n_items,) of the items, where known; saves a pass over the vectors.
        zero_vectors: False: items whose vector is zero never rank.
        user_block: Users per matrix product.
        item_block: Items per matrix product.

    Returns:
        (n_users, k) int32 padded with -1, and (n_users, k) float64 padded with -inf: fewer than k items are allowed.

    Raises:
        ValueError: A query's or item's norm is outside of what float32 and float64 hold without overflow.
    """
    wide = np.ascontiguousarray(queries, dtype=np.float64)
    norms = norms_of(shards) if norms is None else norms
    units, lengths = _units(wide)
    largest = float(np.max(norms, where=np.isfinite(norms), initial=0.0))
    if largest > _LARGEST_ITEM:
        raise ValueError(
            f"an item vector has norm {largest:g}, allowed is at most {_LARGEST_ITEM:g}: scale the vectors"
        )
    search = _Search(shards, k, norms, 5e-324 if not zero_vectors else 0.0, _error(wide.shape[1], largest), item_block)
    ids = np.full((len(wide), k), -1, dtype=np.int32)
    scores = np.full((len(wide), k), -np.inf)
    ranked = np.flatnonzero(np.isfinite(lengths))
    for start in range(0, len(ranked), user_block):
        users = ranked[start : start + user_block]
        ids[users], scores[users] = _search_block(search, wide[users], units[users], lengths[users], mask.of(users))
    return ids, scores


def inner_products(
    queries: NDArray[np.float64], rows: NDArray[np.integer[Any]], nums: NDArray[np.integer[Any]], shards: Shards
) -> NDArray[np.float64]:
    """(n,) float64 inner products of queries[rows[j]] and item nums[j], summed in the one fixed order of `top_k`."""
    found = np.full(len(nums), np.nan)
    order = np.argsort(nums, kind="stable")  # rows of one item meet, and memory is read in one direction
    rows, nums = np.asarray(rows)[order], np.asarray(nums)[order]
    for first, vectors in shards:
        low, high = np.searchsorted(nums, [first, first + len(vectors)])
        dots(queries, rows, nums, first, np.asarray(vectors), order, low, high, found)
    return found


class _Search(NamedTuple):
    """What all blocks of one call share."""

    shards: Shards
    k: int
    norms: NDArray[np.float64]
    smallest: float  # items of a smaller norm never rank
    error: float  # eps of the module's docstring
    item_block: int


def _error(dim: int, largest: float) -> float:
    n = (dim + 2) * _UNIT
    return _SAFETY * (n / (1 - n) * largest + dim * 2.0**-126)


def _units(queries: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Unit queries for the float32 product (zero stays zero, NaN where not finite), and their float64 norms."""
    finite = np.isfinite(queries).all(axis=1)
    peaks = np.abs(queries).max(axis=1, initial=0.0)
    scaled = queries / np.where(finite & (peaks > 0), peaks, 1.0)[:, None]
    lengths = np.sqrt((scaled**2).sum(axis=1))
    units = (scaled / np.where(lengths > 0, lengths, 1.0)[:, None]).astype(np.float32)
    units[~finite] = np.nan
    lengths = np.where(finite, lengths * np.where(finite, peaks, 0.0), np.nan)
    low, high = _QUERY_RANGE
    bad = finite & (peaks > 0) & ~((lengths >= low) & (lengths <= high))
    if bad.any():
        raise ValueError(
            f"a query has norm {lengths[bad][0]:g}, allowed is 0 or {low:g} to {high:g}: scale the queries"
        )
    return units, lengths


def _search_block(
    search: _Search,
    wide: NDArray[np.float64],
    units: NDArray[np.float32],
    lengths: NDArray[np.float64],
    mask: Mask,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Ids and scores of one block of users, whose queries are finite."""
    n_users, k = len(wide), search.k
    capacity = 2 * k + 128
    nums = np.empty((n_users, capacity), dtype=np.int32)
    rough = np.empty((n_users, capacity), dtype=np.float32)
    counts = np.zeros(n_users, dtype=np.int64)
    floors = np.full(n_users, -np.inf, dtype=np.float32)
    flat = np.empty(n_users * search.item_block, dtype=np.float32)
    for first, vectors in search.shards:
        for low in range(0, len(vectors), search.item_block):
            tile = np.asarray(vectors[low : low + search.item_block])
            product = flat[: n_users * len(tile)].reshape(n_users, len(tile))
            with np.errstate(invalid="ignore"):  # NaN and inf vectors: what they score never ranks
                np.matmul(units, tile.T, out=product)
            places = np.zeros(n_users, dtype=np.int64)
            while scan(
                product, first + low, search.norms, search.smallest, 2 * search.error, k, lengths, mask,
                places, counts, nums, rough, floors,
            ):  # fmt: skip
                full = np.flatnonzero(places < len(tile))
                exact = _exact(search, wide, full, counts, nums)
                settle(full, exact, lengths, search.error, k, counts, nums, rough, floors)
    tighten(2 * search.error, k, counts, nums, rough, floors)
    ids, scores = np.full((n_users, k), -1, dtype=np.int32), np.full((n_users, k), -np.inf)
    choose(_exact(search, wide, np.arange(n_users), counts, nums), counts, nums, ids, scores)
    return ids, scores


def _exact(
    search: _Search,
    wide: NDArray[np.float64],
    users: NDArray[np.int64],
    counts: NDArray[np.int64],
    nums: NDArray[np.int32],
) -> NDArray[np.float64]:
    """(len(users), capacity) float64 scores of what the users' buffers hold."""
    held = np.arange(nums.shape[1]) < counts[users, None]
    found = np.full(held.shape, -np.inf)
    found[held] = inner_products(wide, np.repeat(users, counts[users]), nums[users][held], search.shards)
    return found
