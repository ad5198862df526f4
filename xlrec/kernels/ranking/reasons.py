"""What each item of a history adds to the scores of listed items, and the history items that add most: reasons.

Histories and listed items of all users lie one after another: user u's are at `indptr[u]` to `indptr[u + 1]`.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.simd import EIGHT, eight_dots

_Floats = NDArray[np.float64]
_Nums = NDArray[np.int32]
_Bounds = NDArray[np.int64]


def most_similar(
    history: NDArray[np.float32], weights: _Floats, visits: _Bounds, items: NDArray[np.float32], indptr: _Bounds,
    n_best: int,
) -> NDArray[np.int64]:  # fmt: skip
    """(n, n_best) the history items whose `similar_terms` of each item are largest: `heaviest`, of many users.

    Args:
        history: (n_history, dim) float32 vectors of the histories.
        weights: (n_history,) float64.
        visits: (n_users + 1,) int64 of `history`.
        items: (n, dim) float32.
        indptr: (n_users + 1,) int64 of `items`.
        n_best: Most history items an item.

    Returns:
        Positions among all histories, filled up with -1.
    """
    found = np.full((len(items), n_best), -1, dtype=np.int64)
    _most_similar(history, weights, visits, items, indptr, found)
    return found


def most_covisited(
    history: _Nums, weights: _Floats, visits: _Bounds, items: _Nums, indptr: _Bounds,
    neighbours: tuple[_Bounds, _Nums, _Floats], n_best: int,
) -> NDArray[np.int64]:  # fmt: skip
    """(n, n_best) the history items whose `covisited_terms` of each item are largest: `heaviest`, of many users.

    Args:
        history: (n_history,) item_nums of the histories.
        weights: (n_history,) float64.
        visits: (n_users + 1,) int64 of `history`.
        items: (n,) item_nums, distinct within each user.
        indptr: (n_users + 1,) int64 of `items`.
        neighbours: As of `covisited_terms`.
        n_best: Most history items an item.

    Returns:
        Positions among all histories, filled up with -1.
    """
    found = np.full((len(items), n_best), -1, dtype=np.int64)
    _most_covisited(history, weights, visits, items, indptr, *neighbours, found)
    return found


@njit(cache=True)
def _most_similar(history: Any, weights: Any, visits: Any, items: Any, indptr: Any, found: Any) -> None:
    for user in range(len(indptr) - 1):
        first, last, start, end = visits[user], visits[user + 1], indptr[user], indptr[user + 1]
        if first < last and start < end:
            terms = _similar_terms(history[first:last], weights[first:last], items[start:end])
            _heaviest(terms, first, found[start:end])


@njit(cache=True)
def _most_covisited(
    history: Any, weights: Any, visits: Any, items: Any, indptr: Any, bounds: Any, nums: Any, scores: Any, found: Any
) -> None:
    for user in range(len(indptr) - 1):
        first, last, start, end = visits[user], visits[user + 1], indptr[user], indptr[user + 1]
        if first < last and start < end:
            terms = _covisited_terms(history[first:last], weights[first:last], items[start:end], bounds, nums, scores)
            _heaviest(terms, first, found[start:end])


def similar_terms(
    history: NDArray[np.float32], weights: NDArray[np.float64], items: NDArray[np.float32]
) -> NDArray[np.float64]:
    """What each history item adds to each item's similarity: w_h · ⟨v_h, v_i⟩ / ‖Σ_h w_h · v_h‖.

    Args:
        history: (n_history, dim) float32 vectors of the history.
        weights: (n_history,) float64.
        items: (n, dim) float32.

    Returns:
        (n, n_history) float64, summed over dim in order; all 0 where the profile is 0.
    """
    found: NDArray[np.float64] = _similar_terms(history, weights, items)
    return found


@njit(cache=True)
def _similar_terms(history: Any, weights: Any, items: Any) -> Any:
    n_history, dim = history.shape
    n, n_eights = items.shape[0], -(-n_history // EIGHT)
    # Across: one number of eight vectors beside each other, so that their sums, each in order, are one instruction.
    across, square = np.zeros((n_eights, dim, EIGHT)), 0.0
    for d in range(dim):
        total = 0.0
        for h in range(n_history):
            term = weights[h] * np.float64(history[h, d])
            across[h // EIGHT, d, h % EIGHT] = term
            total += term
        square += total * total
    terms = np.zeros((n, n_eights * EIGHT))
    if square > 0:
        norm = np.sqrt(square)
        for eight in range(n_eights):
            column = eight * EIGHT
            for i in range(0, n, 2):
                later = min(i + 1, n - 1)
                eight_dots(across[eight], items[i], items[later], dim, terms[i, column:], terms[later, column:])
        terms /= norm
    return terms[:, :n_history]


def covisited_terms(
    history: NDArray[np.int32],
    weights: NDArray[np.float64],
    items: NDArray[np.int32],
    neighbours: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """What each history item adds to each item's co-visitation: w_h · neighbours[h][i].

    Args:
        history: (n_history,) item_nums.
        weights: (n_history,) float64.
        items: (n,) item_nums, distinct.
        neighbours: CSR over all items: indptr, nums, scores.

    Returns:
        (n, n_history) float64.
    """
    found: NDArray[np.float64] = _covisited_terms(history, weights, items, *neighbours)
    return found


@njit(cache=True)
def _covisited_terms(history: Any, weights: Any, items: Any, indptr: Any, nums: Any, scores: Any) -> Any:
    n, order = len(items), np.argsort(items)
    ordered, terms = items[order], np.zeros((len(items), len(history)))
    for h in range(len(history)):
        for at in range(indptr[history[h]], indptr[history[h] + 1]):
            i = np.searchsorted(ordered, nums[at])
            if i < n and ordered[i] == nums[at]:
                terms[order[i], h] = weights[h] * scores[at]
    return terms


@njit(cache=True)
def _heaviest(terms: Any, first: Any, found: Any) -> None:
    """Writes the positions, counted from `first`, into (n, n_best), which is -1 elsewhere."""
    n, n_history = terms.shape
    for i in range(n):
        for place in range(found.shape[1]):
            best = -1
            for h in range(n_history):
                taken = False
                for before in range(place):
                    taken = taken or found[i, before] == first + h
                if not taken and terms[i, h] > 0 and (best < 0 or terms[i, h] > terms[i, best]):
                    best = h
            if best < 0:
                break
            found[i, place] = first + best


def heaviest(terms: NDArray[np.float64], n_best: int) -> NDArray[np.int64]:
    """Positions of each row's largest positive terms, largest first, ties by position.

    Args:
        terms: (n, n_history) float64.
        n_best: Most positions per row.

    Returns:
        (n, n_best) int64, filled up with -1.
    """
    found = np.full((len(terms), n_best), -1, dtype=np.int64)
    _heaviest(terms, 0, found)
    return found
