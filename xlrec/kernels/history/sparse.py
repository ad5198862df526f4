"""Candidates of users from all sources: search results, co-visitation summed over a history, popularity in order."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.search.mask import may_read


class Neighbours(NamedTuple):
    """Item-to-item scores of one market as CSR over items."""

    indptr: NDArray[np.int64]  # (n_items + 1,)
    nums: NDArray[np.int32]
    """(n,) int32 neighbours."""
    scores: NDArray[np.float64]
    """(n,) float64, above 0."""


class MarketPopularity(NamedTuple):
    """Popularity of one market."""

    order: NDArray[np.int32]
    """(n_eligible,) int32 item_nums, best first."""
    scores: NDArray[np.float64]  # (n_items,)


class CandidateUnion(NamedTuple):
    """Candidates of users; a row uses the first `sizes` of its columns."""

    sizes: NDArray[np.int64]  # (n_users,)
    nums: NDArray[np.int32]
    """(n_users, width) int32 item_nums, ascending."""
    similar: NDArray[np.float64]
    """(n_users, width) float64; NaN where the search did not score the item."""
    covisited: NDArray[np.float64]  # (n_users, width)
    popular: NDArray[np.float64]  # (n_users, width)
    fallback: NDArray[np.int32]
    """(n_users, k) int32, filled up with -1."""


class Scratch(NamedTuple):
    """Memory of `merge_candidates`, all 0 before and after."""

    sums: NDArray[np.float64]
    """(n_items,) float64 co-visitation."""
    places: NDArray[np.int32]
    """(n_items,) int32 places in the union, from 1; -1 for items that the user has seen."""

    @staticmethod
    def empty_scratch(n_items: int) -> "Scratch":
        """Zeros for that many items."""
        return Scratch(np.zeros(n_items), np.zeros(n_items, np.int32))


def empty_union(n_users: int, width: int, k: int) -> CandidateUnion:
    """Empty union for `merge_candidates`; `width` is 3 × the candidates of each source."""
    shape = (n_users, width)
    return CandidateUnion(
        np.zeros(n_users, np.int64),
        np.full(shape, -1, np.int32),
        np.full(shape, np.nan),
        np.zeros(shape),
        np.zeros(shape),
        np.full((n_users, k), -1, np.int32),
    )


@njit(cache=True)
def merge_candidates(users, similar, history, neighbours, market, mask, scratch, union, strict):  # type: ignore[no-untyped-def]
    """Merged candidates of some users of one market, written to their rows of `union`.

    Each source gives its best allowed items, as many as `similar` has columns: co-visitation and popularity only such
    with a positive score. covisited(i) = Σ_h weight_h · neighbours[h][i], summed latest first. The fallback takes the
    next allowed items in popular order that are not in the union, whatever their score: those that the user may read,
    then others, unless `strict`.

    `users` are (n,) int64 rows in all per-user arrays. `similar` is a pair: (n_users, n_candidates) int32 item_nums
    padded with -1, and (n_users, n_candidates) float64 scores.
    """
    ids, scores = similar
    n_candidates = ids.shape[1]
    chosen = np.empty(3 * n_candidates, np.int32)
    sums, places = scratch.sums, scratch.places
    for user in users:
        seen = mask.seen_nums[mask.seen_indptr[user] : mask.seen_indptr[user + 1]]
        places[seen] = -1
        listed = ids[user][ids[user] >= 0]
        n_chosen = 0
        for num in listed:
            n_chosen = _chosen(num, chosen, n_chosen, places)
        touched = _covisit(user, history, neighbours, sums)
        n_chosen = _best_covisited(user, touched, sums, mask, places, n_candidates, chosen, n_chosen)
        n_chosen = _most_popular(user, market, mask, places, n_candidates, chosen, n_chosen)
        nums = np.sort(chosen[:n_chosen])
        union.sizes[user] = n_chosen
        for j in range(n_chosen):
            union.nums[user, j] = nums[j]
            union.covisited[user, j] = sums[nums[j]]
            union.popular[user, j] = market.scores[nums[j]]
            places[nums[j]] = j + 1
        for j in range(len(listed)):
            union.similar[user, places[listed[j]] - 1] = scores[user, j]
        _fall_back(user, market, mask, places, strict, union.fallback[user])
        sums[touched] = 0.0
        places[nums] = 0
        places[seen] = 0


@njit(cache=True, inline="always")
def _chosen(num, chosen, n_chosen, places):  # type: ignore[no-untyped-def]
    """Adds an item that is not chosen yet; the new count."""
    chosen[n_chosen] = num
    n_chosen += places[num] == 0
    places[num] = 1
    return n_chosen


@njit(cache=True)
def _covisit(user, history, neighbours, sums):  # type: ignore[no-untyped-def]
    """Adds up the scores; returns the items touched, each once."""
    low, high = history.indptr[user], history.indptr[user + 1]
    most = 0
    for row in range(low, high):
        most += neighbours.indptr[history.nums[row] + 1] - neighbours.indptr[history.nums[row]]
    touched = np.empty(most + 1, np.int32)
    count = 0
    for row in range(low, high):
        num, weight = history.nums[row], history.weights[row]
        for pair in range(neighbours.indptr[num], neighbours.indptr[num + 1]):
            term = weight * neighbours.scores[pair]
            other = neighbours.nums[pair]
            if term > 0.0:
                touched[count] = other
                count += sums[other] == 0.0
                sums[other] += term
    return touched[:count]


@njit(cache=True)
def _best_covisited(user, touched, sums, mask, places, n_best, chosen, n_chosen):  # type: ignore[no-untyped-def]
    nums, values = np.empty(len(touched), np.int32), np.empty(len(touched))
    eligible, n_nums = mask.eligible[mask.group[user]], 0
    for num in touched:
        if eligible[num] and places[num] >= 0 and may_read(mask, user, num):
            nums[n_nums], values[n_nums] = num, sums[num]
            n_nums += 1
    if n_nums <= n_best:
        for num in nums[:n_nums]:
            n_chosen = _chosen(num, chosen, n_chosen, places)
        return n_chosen
    bar = np.partition(values[:n_nums], n_nums - n_best)[n_nums - n_best]
    ties, n_ties, n_above = np.empty(n_nums, np.int32), 0, 0
    for j in range(n_nums):
        if values[j] > bar:
            n_chosen = _chosen(nums[j], chosen, n_chosen, places)
            n_above += 1
        elif values[j] == bar:
            ties[n_ties] = nums[j]
            n_ties += 1
    for num in np.sort(ties[:n_ties])[: n_best - n_above]:
        n_chosen = _chosen(num, chosen, n_chosen, places)
    return n_chosen


@njit(cache=True)
def _most_popular(user, market, mask, places, n_best, chosen, n_chosen):  # type: ignore[no-untyped-def]
    count = 0
    for num in market.order:
        if count == n_best or market.scores[num] <= 0.0:
            break
        if places[num] >= 0 and may_read(mask, user, num):
            n_chosen = _chosen(num, chosen, n_chosen, places)
            count += 1
    return n_chosen


@njit(cache=True)
def _fall_back(user, market, mask, places, strict, fallback):  # type: ignore[no-untyped-def]
    count = 0
    for wanted in (True, False):
        if not wanted and (strict or not mask.restricted[user]):
            break
        for num in market.order:
            if count == len(fallback):
                break
            if places[num] == 0 and may_read(mask, user, num) == wanted:
                fallback[count] = num
                count += 1


def used_columns(sizes: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """(n_users, width) bool: columns in use; `sizes` is (n_users,) integer."""
    return np.arange(width) < sizes[:, None]
