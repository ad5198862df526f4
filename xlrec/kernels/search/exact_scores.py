"""Compiled loops of the exact top-k: float64 scores of buffered items in one fixed order of sums, and their order."""

from typing import Final

import numpy as np
from numba import njit

from xlrec.kernels.base.simd import blocked_dot, prefetch

_AHEAD: Final = 3  # vectors prefetched before they are read
_NEAR: Final = 64  # items whose vectors are neighbours in memory


@njit(cache=True, inline="always")
def dot_by_simd(left, right):  # type: ignore[no-untyped-def]
    """float64 inner product of two contiguous rows, in the one order of all exact scores.

    `left` is (dim,) float64, `right` (dim,) float32. Eight running sums of every eighth term are joined in pairs, from
    first to last; the terms that are left over are summed apart and added last.
    """
    eights = len(left) // 8
    rest = 0.0
    for j in range(8 * eights, len(left)):
        rest += left[j] * np.float64(right[j])
    return blocked_dot(left, right, eights) + rest


@njit(cache=True)
def inner_products_in(queries, rows, nums, first, vectors, products):  # type: ignore[no-untyped-def]
    """Writes the inner products of queries[rows[j]] and items nums[j] of this shard into products[j].

    Args:
        queries: (n_queries, dim) float64, contiguous in a row.
        rows: (n,) integer rows of queries.
        nums: (n,) integer item_nums; those outside of the shard are passed over.
        first: the first item_num of the shard.
        vectors: (n_rows, dim) float32 of the shard, contiguous in a row.
        products: (n,) float64, written to.
    """
    places, n_here = np.empty(len(nums), np.int64), 0
    for j in range(len(nums)):
        places[n_here] = j
        n_here += first <= nums[j] < first + len(vectors)
    for turn in range(n_here + _AHEAD):
        if turn < n_here:
            _fetch_row(vectors[nums[places[turn]] - first])
        if turn >= _AHEAD:
            j = places[turn - _AHEAD]
            products[j] = dot_by_simd(queries[rows[j]], vectors[nums[j] - first])


@njit(cache=True, inline="always")
def _fetch_row(vector):  # type: ignore[no-untyped-def]
    for place in range(0, len(vector), 16):
        prefetch(vector, place)


@njit(cache=True)
def rescore_entries(users, cuts, queries, lengths, first, vectors, buffers):  # type: ignore[no-untyped-def]
    """Exact scores of the entries that lie in this shard and whose lower bound is at least the user's cut.

    Args:
        users: (n,) int64 rows of the users to look at.
        cuts: (n_users,) float32 cuts.
        queries: (n_users, dim) float64.
        lengths: (n_users,) float64 norms of the queries.
        first: the first item_num of the shard.
        vectors: (n_rows, dim) float32 of the shard.
        buffers: of all users, written to.
    """
    _, _, _, nums, lower, upper, exact = buffers
    rows, slots = _by_item(users, cuts, first, len(vectors), buffers)
    for j in range(len(rows) + _AHEAD):
        if j < len(rows):
            _fetch_row(vectors[nums[rows[j], slots[j]] - first])
        if j >= _AHEAD:
            user, slot = rows[j - _AHEAD], slots[j - _AHEAD]
            score = dot_by_simd(queries[user], vectors[nums[user, slot] - first])
            length = lengths[user] if lengths[user] > 0 else 1.0
            exact[user, slot] = score
            lower[user, slot] = rounded_down(score / length)
            upper[user, slot] = -rounded_down(-score / length)


@njit(cache=True)
def _by_item(users, cuts, first, n_items, buffers):  # type: ignore[no-untyped-def]
    """(rows, places) of the entries to rescore, those of near items together: memory is read in one direction."""
    counts, _, _, nums, lower, _, exact = buffers
    ends = np.zeros(n_items // _NEAR + 2, np.int64)
    for turn in range(2):
        if turn == 1:
            ends = np.cumsum(ends)
            rows, slots = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.int32)
        for user in users:
            start, end = np.searchsorted(nums[user, : counts[user]], np.array([first, first + n_items]))
            for j in range(start, end):
                if np.isnan(exact[user, j]) and lower[user, j] >= cuts[user]:
                    near = (nums[user, j] - first) // _NEAR
                    if turn == 1:
                        rows[ends[near]], slots[ends[near]] = user, j
                        ends[near] += 1
                    else:
                        ends[near + 1] += 1
    return rows, slots


@njit(cache=True)
def rounded_down(value):  # type: ignore[no-untyped-def]
    """The largest float32 that is not above a float64."""
    down = np.float32(value)
    return down if np.float64(down) <= value else np.nextafter(down, np.float32(-np.inf))


@njit(cache=True)
def cut_to_best(users, k, buffers):  # type: ignore[no-untyped-def]
    """Cuts buffers whose scores are all exact to the best k so far, and raises the threshold to the k-th.

    `users` are (n,) int64 rows of the buffers.
    """
    counts, _, thresholds, nums, lower, upper, exact = buffers
    for user in users:
        order = np.argsort(-exact[user, : counts[user]], kind="mergesort")[:k]
        if len(order) == k:
            thresholds[user] = max(thresholds[user], lower[user, order[k - 1]])
        kept = np.sort(order)
        for j in range(len(kept)):
            nums[user, j] = nums[user, kept[j]]
            lower[user, j] = lower[user, kept[j]]
            upper[user, j] = upper[user, kept[j]]
            exact[user, j] = exact[user, kept[j]]
        counts[user] = len(kept)


@njit(cache=True)
def best_rows(buffers, ids, scores):  # type: ignore[no-untyped-def]
    """Writes the best k of each buffer into ids and scores; equal scores keep the ascending item_num.

    `ids` are (n_users, k) int32, `scores` (n_users, k) float64; entries beyond a buffer's end stay.
    """
    counts, _, _, nums, _, _, exact = buffers
    for user in range(len(ids)):
        order = np.argsort(-exact[user, : counts[user]], kind="mergesort")
        for j in range(min(len(order), ids.shape[1])):
            ids[user, j] = nums[user, order[j]]
            scores[user, j] = exact[user, order[j]]


@njit(cache=True)
def likely_thresholds(users, k, buffers, cuts):  # type: ignore[no-untyped-def]
    """Writes the k-th best lower bound of each of some users into cuts (n_users,) float32.

    `users` are (n,) int64 rows; a cut is -inf where a buffer holds k entries or fewer.
    """
    for user in users:
        count = buffers.counts[user]
        cuts[user] = np.float32(-np.inf)
        if count > k:
            cuts[user] = np.partition(buffers.lower[user, :count], count - k)[count - k]
