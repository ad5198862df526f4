"""Fused scores of users' candidates, and the terms that they are made of.

fused(i) = Σ_s weight_s · score_s(i). It is linear in the history's terms, so that a reason names what the score is
really made of. Candidates of all users lie one after another: user u's are `indptr[u]` to `indptr[u + 1]`.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import owners_of


class Fused(NamedTuple):
    """Scores of n candidates from several sources."""

    scores: NDArray[np.float64]
    """(n,) sum of the terms; not finite where a source that counts gave no finite score: such an item never ranks."""
    terms: NDArray[np.float64]
    """(n_sources, n) what each source adds; 0 for a source without weight."""


def fuse(scores: NDArray[np.float64], indptr: NDArray[np.int64], weights: NDArray[np.float64]) -> Fused:
    """Weighted sum of the sources, in their order.

    Args:
        scores: (n_sources, n) float64; what has weight 0 is not looked at.
        indptr: (n_users + 1,) int64.
        weights: (n_users, n_sources) float64, >= 0.
    """
    each = weights[owners_of(indptr)].T
    terms = np.zeros(scores.shape)
    np.multiply(scores, each, out=terms, where=each > 0)
    total = np.zeros(scores.shape[1])
    for term in terms:
        total += term
    return Fused(np.where(np.isfinite(total), total, np.nan), terms)


def best_first(scores: NDArray[np.float64], indptr: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each user's candidates with a finite score by score desc, then position.

    Args:
        scores: (n,) float64.
        indptr: (n_users + 1,) int64.

    Returns:
        (n_users + 1,) and positions among all candidates: compressed sparse rows of the users.
    """
    negative = np.where(np.isfinite(scores), -scores, np.inf)
    order = np.empty(len(scores), dtype=np.int64)
    for start, end in pairwise(indptr.tolist()):
        order[start:end] = negative[start:end].argsort()
    bounds, settled = _settled(negative, indptr, order)
    return bounds, settled


@njit(cache=True)
def _settled(values: Any, indptr: Any, order: Any) -> Any:
    """The finite ones of a sort of each user's values that may leave equal ones in any order: these by position."""
    found, size = np.zeros(len(indptr), dtype=np.int64), 0
    for user in range(len(indptr) - 1):
        first, equal = indptr[user], size  # from `equal` on, all have one value
        for at in range(first, indptr[user + 1]):
            position = first + order[at]
            if not np.isfinite(values[position]):
                break
            if size > equal and values[order[equal]] != values[position]:
                _ascend(order, equal, size)
                equal = size
            order[size] = position
            size += 1
        _ascend(order, equal, size)
        found[user + 1] = size
    return found, order[:size]


@njit(cache=True)
def _ascend(positions: Any, start: Any, end: Any) -> None:
    if end - start > 1:
        positions[start:end] = np.sort(positions[start:end])
