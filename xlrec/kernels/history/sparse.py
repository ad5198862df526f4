"""Candidates from sparse scores: co-visitation summed over a history, popularity in order, and the union of sources."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.history.profiles import Histories
from xlrec.kernels.search.mask import Mask, readable


class Neighbours(NamedTuple):
    """Co-visitation in one market as CSR over items; scores above 0."""

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


class Scratch(NamedTuple):
    """Memory that `unite` uses, (n_items,) each, all 0 before and after."""

    sums: NDArray[np.float64]
    """Co-visitation."""
    places: NDArray[np.int32]
    """From 1, in the union; -1 for what the user has seen."""

    @staticmethod
    def of(n_items: int) -> "Scratch":
        """Zeros."""
        return Scratch(np.zeros(n_items), np.zeros(n_items, np.int32))


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
    scratch: Scratch,
    union: Union,
    *,
    strict: bool,
) -> None:
    """Fills the rows of `users`, who share a market, in `union`.

    Each source gives its best allowed items, as many as `similar` has columns: co-visitation and popularity only such
    with a positive score. covisited(i) = Σ_h weight_h · neighbours[h][i], summed latest first. The fallback takes the
    next allowed items in popular order that are not in the union, whatever their score: those that the user may read,
    then others, unless `strict`.

    Args:
        users: Rows in all per-user arrays.
        similar: (n_users, n_candidates) ids padded with -1, and scores.
        history: What co-visitation starts from.
        neighbours: Co-visitation in the market.
        market: Popularity.
        mask: What each user may get.
        scratch: Of all items.
        union: Written to.
        strict: Nothing that the user may not read.
    """
    _unite(users, similar[0], similar[1], history, neighbours, market, mask, scratch, union, strict)


@njit(cache=True)
def _unite(users, ids, scores, history, neighbours, market, mask, scratch, union, strict):  # type: ignore[no-untyped-def]
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
    found, values = np.empty(len(touched), np.int32), np.empty(len(touched))
    eligible, n_found = mask.eligible[mask.group[user]], 0
    for num in touched:
        if eligible[num] and places[num] >= 0 and readable(mask, user, num):
            found[n_found], values[n_found] = num, sums[num]
            n_found += 1
    if n_found <= n_best:
        for num in found[:n_found]:
            n_chosen = _chosen(num, chosen, n_chosen, places)
        return n_chosen
    bar = np.partition(values[:n_found], n_found - n_best)[n_found - n_best]
    ties, n_ties, n_above = np.empty(n_found, np.int32), 0, 0
    for j in range(n_found):
        if values[j] > bar:
            n_chosen = _chosen(found[j], chosen, n_chosen, places)
            n_above += 1
        elif values[j] == bar:
            ties[n_ties] = found[j]
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
        if places[num] >= 0 and readable(mask, user, num):
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
            if places[num] == 0 and readable(mask, user, num) == wanted:
                fallback[count] = num
                count += 1


def used(sizes: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """(n_users, width) bool: the columns of each row that hold something."""
    return np.arange(width) < sizes[:, None]
