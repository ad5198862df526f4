"""Exact top-k by inner product: a rounded matrix product proposes, float64 in a fixed order decides.

The score of unit query u (the query over its norm) and item v is s = ⟨u, v⟩. A first pass multiplies roundings û and v̂,
with r = ‖u - û‖ at most over the block's users and d_v = ‖v - v̂‖, both measured. By Cauchy and Schwarz

    |⟨u, v⟩ - ⟨û, v̂⟩| ≤ ‖u - û‖ ‖v‖ + ‖û‖ ‖v - v̂‖ ≤ r ‖v‖ + (1 + r) d_v.

The product sums in float32, in any order, within γ_(d+2) ‖û‖ ‖v̂‖ (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., eq. 3.5; γ of 2⁻²³ where the hardware may truncate, 0 where the sums are integers). Where the sum p
comes as bfloat16 p̂, |p - p̂| ≤ 2⁻⁸ |p|. Products and sums below 2⁻¹²⁶ may be flushed, which adds a term in d 2⁻¹²⁶.
2⁻²⁰ ‖v‖ covers the rounding of u to float32 and of the bound itself, a hundredth of the bound the float64 roundings of
norm, residual and exact score. So every score lies in [p̂ - e_v, p̂ + e_v] with

    e_v = 2⁻⁸ |p̂| + 1.01 (r ‖v‖ + (1 + r) d_v + (γ_(d+2) (1 + r) + 2⁻²⁰) (‖v‖ + d_v) + (d + 8) 2⁻¹²⁴).

The k-th largest lower bound is no higher than the k-th best score, and no item of the top k has a lower upper bound.
The scan keeps all items whose upper bound reaches it, so that their float64 order is the order of a full float64
search, for every path and block size. A search may begin with an estimated threshold
(`initial_threshold`): left-out items score less than it, so a list whose k-th score reaches it is the full search's.
A buffer that overflows is rescored in float64 at once.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.rounding import query_norms, unit_rows
from xlrec.kernels.search.exact_scores import (
    best_rows,
    cut_to_best,
    inner_products_in,
    likely_thresholds,
    rescore_entries,
)
from xlrec.kernels.search.initial_threshold import initial_thresholds
from xlrec.kernels.search.items import ITEM_BLOCK, Items, Shards, norms_of, prepare_items
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.paths import Block, error_factors
from xlrec.kernels.search.scan import Buffers, error_bounds, scan_tile, tighten_buffers

__all__ = ["Items", "Mask", "Shards", "inner_products", "norms_of", "prepare_items", "top_k"]

_QUERY_RANGE: Final = (1e-100, 1e100)
_FEW_SHARDS: Final = 16  # up to so many, all pairs are filtered for each shard; with more, sorting the pairs costs less


def top_k(
    queries: NDArray[np.floating[Any]],
    items: Items | Shards,
    k: int,
    mask: Mask,
    *,
    norms: NDArray[np.float64] | None = None,
    zero_vectors: bool = True,
    user_block: int = 1024,
    item_block: int = ITEM_BLOCK,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Item numbers and float64 scores of each query's best k allowed items, (score desc, item_num asc).

    The result does not depend on blocks or path. A query or an item that is not finite never ranks.

    Args:
        queries: (n_users, dim) floating, of any scale; float64 scores are made from these numbers.
        items: vectors as they are, or prepared once for many calls.
        k: items of a list.
        mask: allowed items of each user.
        norms: (n_items,) float64 norms of vectors as they are, where known.
        zero_vectors: without, items whose vector is zero never rank.
        user_block: users in one matrix product.
        item_block: items in one matrix product, where not prepared.

    Returns:
        (n_users, k) int32 padded with -1, and (n_users, k) float64 padded with -inf: fewer than k items are allowed.

    Raises:
        ValueError: A query's or item's norm is outside of what float32 and float64 hold without overflow.
    """
    wide = np.ascontiguousarray(queries, dtype=np.float64)
    if not isinstance(items, Items):
        items = prepare_items(items, norms=norms, item_block=item_block)
    units, lengths = unit_queries(wide)
    ids = np.full((len(wide), k), -1, dtype=np.int32)
    scores = np.full((len(wide), k), -np.inf)
    ranked = np.flatnonzero(np.isfinite(lengths))
    smallest = 0.0 if zero_vectors else 5e-324
    for start in range(0, len(ranked), user_block):
        users = ranked[start : start + user_block]
        block = Users(wide[users], lengths[users], mask.of_users(users), k, smallest)
        ids[users], scores[users] = _search_users(block, items, units[users])
    return ids, scores


def inner_products(
    queries: NDArray[np.float64], rows: NDArray[np.integer[Any]], nums: NDArray[np.integer[Any]], shards: Shards
) -> NDArray[np.float64]:
    """(n,) float64 inner products of queries[rows[j]] and item nums[j], summed in the one fixed order of `top_k`.

    NaN where no shard has the item. Queries and vectors may be slices of columns.

    Args:
        queries: (n_queries, dim) float64.
        rows: (n,) integer rows of queries.
        nums: (n,) integer item_nums.
        shards: vectors of the items.
    """
    products = np.full(len(nums), np.nan)
    queries = _by_rows(queries, np.float64)
    shards = [(first, _by_rows(vectors, np.float32)) for first, vectors in shards]
    if len(shards) <= _FEW_SHARDS:
        for first, vectors in shards:
            inner_products_in(queries, rows, nums, first, vectors, products)
        return products
    order = np.argsort(nums, kind="stable")
    rows, nums, sorted_products = np.asarray(rows)[order], np.asarray(nums)[order], products.copy()
    for first, vectors in shards:
        low, high = np.searchsorted(nums, [first, first + len(vectors)])
        inner_products_in(queries, rows[low:high], nums[low:high], first, vectors, sorted_products[low:high])
    products[order] = sorted_products
    return products


def _by_rows(vectors: NDArray[Any], kind: type) -> NDArray[Any]:
    """(n, dim) vectors of this kind of number; a copy only where the numbers of a row are not contiguous."""
    rows: NDArray[Any] = np.asarray(vectors, dtype=kind)
    return rows if rows.strides[-1] == rows.itemsize else np.ascontiguousarray(rows)


class Users(NamedTuple):
    """A block of users, whose queries are finite."""

    wide: NDArray[np.float64]  # (n_users, dim) queries
    lengths: NDArray[np.float64]  # (n_users,) their norms
    mask: Mask
    k: int
    smallest: float  # Items of a smaller norm never rank

    def of_rows(self, rows: NDArray[np.int64]) -> "Users":
        """Some rows (n,) int64 of them, in their order."""
        return self._replace(wide=self.wide[rows], lengths=self.lengths[rows], mask=self.mask.of_users(rows))


def query_lengths(queries: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_users,) float64 norms of (n_users, dim) float64 queries, NaN where not finite.

    Raises:
        ValueError: One is outside of what float64 sums of scores hold.
    """
    lengths: NDArray[np.float64] = query_norms(queries)
    low, high = _QUERY_RANGE
    bad = ~np.isnan(lengths) & (lengths != 0) & ~((lengths >= low) & (lengths <= high))
    if bad.any():
        raise ValueError(
            f"a query has norm {lengths[bad][0]:g}, allowed is 0 or {low:g} to {high:g}: scale the queries"
        )
    return lengths


def unit_queries(queries: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Unit vectors and norms of (n_users, dim) float64 queries.

    Returns:
        (n_users, dim) float32 unit queries (zero stays zero, NaN where not finite), and (n_users,) float64
            `query_lengths`.

    Raises:
        ValueError: As of `query_lengths`.
    """
    lengths = query_lengths(queries)
    return unit_rows(queries, lengths), lengths


def _short_of(
    thresholds: NDArray[np.float32], scores: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Rows whose k-th score (n_users,) over the query's norm may lie below the threshold."""
    unit_scores = scores / np.where(lengths > 0, lengths, 1.0)
    return np.flatnonzero(unit_scores - 1e-12 * np.abs(unit_scores) < thresholds)


def _search_users(
    users: Users, items: Items, units: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """`_search` from initial thresholds; users whose lists do not reach theirs are searched again without."""
    queries = items.path.round_vectors(units)
    initial = initial_thresholds(queries, items, users.k, users.mask, users.lengths == 0.0, users.smallest)
    ids, scores = _search(users, items, queries, initial.copy())
    rows = _short_of(initial, scores[:, -1], users.lengths)
    if len(rows):
        nothing = np.full(len(rows), -np.inf, dtype=np.float32)
        ids[rows], scores[rows] = _search(users.of_rows(rows), items, items.path.round_vectors(units[rows]), nothing)
    return ids, scores


def _search(
    users: Users, items: Items, queries: Block, thresholds: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Ids and scores of one block of users, of items that reach these thresholds, which rise."""
    n_users, k = len(thresholds), users.k
    buffers = Buffers.empty(thresholds, k, items.path.buffer_capacity(k))
    factors = error_factors(items.dim, items.path.roundoff, float(queries.residuals.max(initial=0.0)))
    zero = users.lengths == 0.0
    groups, rows = np.unique(users.mask.group, return_inverse=True)
    scratch = items.path.new_scratch(n_users * items.item_block)
    nowhere = np.full(n_users, -np.inf, dtype=np.float32)
    for first, block in items.tiles():
        product = items.path.raw_scores(queries, block, scratch)
        errors = np.empty((len(groups), product.shape[1]), dtype=np.float32)
        error_bounds(items.norms, block.residuals, users.mask.eligible, groups, first, users.smallest, factors, errors)
        places = np.zeros(n_users, dtype=np.int64)
        while scan_tile(
            product, first, queries.scales, np.float32(items.path.relative), block.scales, errors, rows, zero, k,
            users.mask, places, buffers,
        ):  # fmt: skip
            full = np.flatnonzero(places < product.shape[1])
            _sharpen(users, items, full, buffers)
            full = full[buffers.counts[full] > (k + buffers.nums.shape[1]) // 2]
            _rescore(users, items, full, nowhere, buffers)
            cut_to_best(full, k, buffers)
    everyone = np.arange(n_users)
    _sharpen(users, items, everyone, buffers)
    _rescore(users, items, everyone, nowhere, buffers)
    ids, scores = np.full((n_users, k), -1, dtype=np.int32), np.full((n_users, k), -np.inf)
    best_rows(buffers, ids, scores)
    return ids, scores


def _sharpen(users: Users, items: Items, rows: NDArray[np.int64], buffers: Buffers) -> None:
    """Exact scores of the entries that are likely in these users' top k; most other entries drop out by them."""
    cuts = np.full(len(buffers.thresholds), -np.inf, dtype=np.float32)
    tighten_buffers(rows, users.k, buffers)
    likely_thresholds(rows, users.k, buffers, cuts)
    _rescore(users, items, rows, cuts, buffers)
    tighten_buffers(rows, users.k, buffers)


def _rescore(users: Users, items: Items, rows: NDArray[np.int64], cuts: NDArray[np.float32], buffers: Buffers) -> None:
    """Exact scores of these users' entries whose lower bound is at least the user's cut."""
    for first, vectors in items.shards:
        rescore_entries(rows, cuts, users.wide, users.lengths, first, vectors, buffers)
