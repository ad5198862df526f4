"""Reasons of listed items: the history items that add most to an item's score.

Histories and listed items of all users lie one after another: user u's are at `indptr[u]` to `indptr[u + 1]`.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.search.exact_scores import dot_by_simd

_Floats = NDArray[np.float64]
_Nums = NDArray[np.int32]
_Bounds = NDArray[np.int64]


def most_similar(
    history: NDArray[np.float32], weights: _Floats, visits: _Bounds, items: NDArray[np.float32], indptr: _Bounds,
    n_best: int,
) -> NDArray[np.int64]:  # fmt: skip
    """(n, n_best) int64 positions among all histories of the items that add most to each item's similarity.

    History item h adds w_h · ⟨v_h, v_i⟩ / ‖Σ_h w_h · v_h‖. Only positive terms count; largest first, ties by position;
    filled up with -1.

    Args:
        history: (n_history, dim) float32 vectors of the history items.
        weights: (n_history,) float64 weights of these.
        visits: (n_users + 1,) int64 bounds of each user's history.
        items: (n, dim) float32 vectors of the listed items.
        indptr: (n_users + 1,) int64 bounds of each user's listed items.
        n_best: positions for each item.
    """
    best = np.full((len(items), n_best), -1, dtype=np.int64)
    _most_similar(np.ascontiguousarray(history), weights, visits, np.ascontiguousarray(items), indptr, best)
    return best


def most_covisited(
    history: _Nums, weights: _Floats, visits: _Bounds, items: _Nums, indptr: _Bounds,
    neighbours: tuple[_Bounds, _Nums, _Floats], n_best: int,
) -> NDArray[np.int64]:  # fmt: skip
    """(n, n_best) int64 positions among all histories of the items that add most to each item's co-visitation.

    History item h adds w_h · neighbours[h][i]; order and padding as of `most_similar`.

    Args:
        history: (n_history,) int32 item_nums of the history items.
        weights: (n_history,) float64 weights of these.
        visits: (n_users + 1,) int64 bounds of each user's history.
        items: (n,) int32 item_nums of the listed items, distinct within each user.
        indptr: (n_users + 1,) int64 bounds of each user's listed items.
        neighbours: CSR over all items: (n_items + 1,) int64 indptr, (n_neighbours,) int32 nums, (n_neighbours,) float64
            scores.
        n_best: positions for each item.
    """
    best = np.full((len(items), n_best), -1, dtype=np.int64)
    _most_covisited(history, weights, visits, items, indptr, *neighbours, best)
    return best


@njit(cache=True)
def _most_similar(history: Any, weights: Any, visits: Any, items: Any, indptr: Any, best: Any) -> None:
    for user in range(len(indptr) - 1):
        first, last, start, end = visits[user], visits[user + 1], indptr[user], indptr[user + 1]
        if first == last or start == end:
            continue
        weighted, profile = np.empty((last - first, history.shape[1])), np.zeros(history.shape[1])
        for h in range(last - first):
            for d in range(history.shape[1]):
                weighted[h, d] = weights[first + h] * np.float64(history[first + h, d])
                profile[d] += weighted[h, d]
        terms = np.zeros((end - start, last - first))
        if profile.any():  # one that cancels out scores nothing; its norm scales all terms alike
            for i in range(end - start):
                for h in range(last - first):
                    terms[i, h] = dot_by_simd(weighted[h], items[start + i])
        _write_largest(terms, first, best[start:end])


@njit(cache=True)
def _most_covisited(
    history: Any, weights: Any, visits: Any, items: Any, indptr: Any, bounds: Any, nums: Any, scores: Any, best: Any
) -> None:
    for user in range(len(indptr) - 1):
        first, start, end = visits[user], indptr[user], indptr[user + 1]
        order = np.argsort(items[start:end])
        ordered = items[start:end][order]
        terms = np.zeros((end - start, visits[user + 1] - first))
        for h in range(terms.shape[1]):
            num = history[first + h]
            for at in range(bounds[num], bounds[num + 1]):
                i = np.searchsorted(ordered, nums[at])
                if i < len(ordered) and ordered[i] == nums[at]:
                    terms[order[i], h] = weights[first + h] * scores[at]
        _write_largest(terms, first, best[start:end])


@njit(cache=True)
def _write_largest(terms: Any, first: Any, best: Any) -> None:
    """Writes the positions, counted from `first`, into (n, n_best), which is -1 elsewhere."""
    n, n_history = terms.shape
    for i in range(n):
        for place in range(best.shape[1]):
            largest = -1
            for h in range(n_history):
                taken = False
                for before in range(place):
                    taken = taken or best[i, before] == first + h
                if not taken and terms[i, h] > 0 and (largest < 0 or terms[i, h] > terms[i, largest]):
                    largest = h
            if largest < 0:
                break
            best[i, place] = first + largest
