"""Candidates from sparse scores: co-visitation summed over a history, popularity in order, and the union of sources."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.mask import Mask, allowed
from xlrec.kernels.profiles import Histories


class Neighbours(NamedTuple):
    """Co-visitation as CSR over items."""

    indptr: NDArray[np.int64]
    nums: NDArray[np.int32]
    scores: NDArray[np.float64]


class Market(NamedTuple):
    """Popularity of one market: `order` lists its eligible items best first, `scores` (n_items,) their popularity."""

    order: NDArray[np.int32]
    scores: NDArray[np.float64]


class Union(NamedTuple):
    """Of n users, row for row: `sizes` used columns of `nums` (ascending), `similar`, `covisited`, `popular`.

    `similar` is NaN where the search did not score the item. `fallback` is filled up with -1.
    """

    sizes: NDArray[np.int64]
    nums: NDArray[np.int32]
    similar: NDArray[np.float64]
    covisited: NDArray[np.float64]
    popular: NDArray[np.float64]
    fallback: NDArray[np.int32]


def empty_union(n_users: int, width: int, k: int) -> Union:
    """A union to be filled by `unite`; `width` is 3 × the candidates of each source."""
    shape = (n_users, width)
    return Union(
        np.zeros(n_users, np.int64),
        np.full(shape, -1, np.int32),
        np.full(shape, np.nan),
        np.zeros(shape),
        np.zeros(shape),
        np.full((n_users, k), -1, np.int32),
    )


def unite(
    users: NDArray[np.int64],
    similar: tuple[NDArray[np.int32], NDArray[np.float64]],
    history: Histories,
    neighbours: Neighbours,
    market: Market,
    mask: Mask,
    scratch: NDArray[np.float64],
    union: Union,
) -> None:
    """Fills the rows of `users`, who share a market, in `union`.

    Each source gives its best allowed items, as many as `similar` has columns: co-visitation and popularity only such
    with a positive score. covisited(i) = Σ_h weight_h · neighbours[h][i], summed latest first. The fallback takes the
    next allowed items in popular order that are not in the union, whatever their score.

    Args:
        users: Rows in all per-user arrays.
        similar: (n_users, n_candidates) ids padded with -1, and scores.
        history: What co-visitation starts from.
        neighbours: Co-visitation.
        market: Popularity.
        mask: What each user may get.
        scratch: (n_items,) float64 of zeros; zeros again on return.
        union: Written to.
    """
    _unite(users, similar[0], similar[1], history, neighbours, market, mask, scratch, union)


@njit(cache=True)
def _unite(users, ids, scores, history, neighbours, market, mask, scratch, union):  # type: ignore[no-untyped-def]
    n_candidates = ids.shape[1]
    chosen = np.empty(3 * n_candidates, np.int32)
    for user in users:
        n_chosen = 0
        while n_chosen < n_candidates and ids[user, n_chosen] >= 0:
            chosen[n_chosen] = ids[user, n_chosen]
            n_chosen += 1
        touched = _covisit(user, history, neighbours, scratch)
        n_chosen = _best_covisited(user, touched, scratch, mask, n_candidates, chosen, n_chosen)
        n_chosen = _most_popular(user, market, mask, n_candidates, chosen, n_chosen)
        nums = np.unique(chosen[:n_chosen])
        union.sizes[user] = len(nums)
        for j in range(len(nums)):
            union.nums[user, j] = nums[j]
            union.covisited[user, j] = scratch[nums[j]]
            union.popular[user, j] = market.scores[nums[j]]
        for j in range(n_candidates):
            if ids[user, j] < 0:
                break
            union.similar[user, np.searchsorted(nums, ids[user, j])] = scores[user, j]
        _fall_back(user, market, mask, nums, union.fallback[user])
        for num in touched:
            scratch[num] = 0.0


@njit(cache=True)
def _covisit(user, history, neighbours, scratch):  # type: ignore[no-untyped-def]
    """Adds up the scores in scratch; returns the items touched, each once."""
    low, high = history.indptr[user], history.indptr[user + 1]
    most = 0
    for row in range(low, high):
        most += neighbours.indptr[history.nums[row] + 1] - neighbours.indptr[history.nums[row]]
    touched = np.empty(most, np.int32)
    count = 0
    for row in range(low, high):
        num = history.nums[row]
        for pair in range(neighbours.indptr[num], neighbours.indptr[num + 1]):
            term = history.weights[row] * neighbours.scores[pair]
            other = neighbours.nums[pair]
            if term > 0.0:
                if scratch[other] == 0.0:
                    touched[count] = other
                    count += 1
                scratch[other] += term
    return touched[:count]


@njit(cache=True)
def _best_covisited(user, touched, scratch, mask, n_best, chosen, n_chosen):  # type: ignore[no-untyped-def]
    found = np.empty(len(touched), np.int32)
    n_found = 0
    for num in touched:
        if allowed(mask, user, num):
            found[n_found] = num
            n_found += 1
    found = np.sort(found[:n_found])
    bar = 0.0
    n_ties = n_found
    if n_found > n_best:
        values = scratch[found]
        bar = np.partition(values, n_found - n_best)[n_found - n_best]
        n_ties = n_best - np.sum(values > bar)
    for num in found:
        if scratch[num] > bar or (scratch[num] == bar and n_ties > 0):
            n_ties -= scratch[num] == bar
            chosen[n_chosen] = num
            n_chosen += 1
    return n_chosen


@njit(cache=True)
def _most_popular(user, market, mask, n_best, chosen, n_chosen):  # type: ignore[no-untyped-def]
    last = n_chosen + n_best
    for num in market.order:
        if n_chosen == last or market.scores[num] <= 0.0:
            break
        if allowed(mask, user, num):
            chosen[n_chosen] = num
            n_chosen += 1
    return n_chosen


@njit(cache=True)
def _fall_back(user, market, mask, union_nums, fallback):  # type: ignore[no-untyped-def]
    count = 0
    for num in market.order:
        if count == len(fallback):
            break
        place = np.searchsorted(union_nums, num)
        if (place == len(union_nums) or union_nums[place] != num) and allowed(mask, user, num):
            fallback[count] = num
            count += 1


def used(sizes: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """(n_users, width) bool: the columns of each row that hold something."""
    return np.arange(width) < sizes[:, None]
