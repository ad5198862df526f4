"""Fused scores of users' candidates, and the term of each source.

fused(i) = Σ_s weight_s · score_s(i). It is linear in the history's terms, so that a reason names a true
part of the score. Candidates of all users lie one after another: user u's are `indptr[u]` to `indptr[u + 1]`.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.csr import indptr_of, owners_of


class Fused(NamedTuple):
    """Scores of n candidates from several sources."""

    scores: NDArray[np.float64]
    """(n,) float64 sum of the terms; NaN where a source with weight gave no finite score: such an item never ranks."""
    terms: NDArray[np.float64]  # (n_sources, n) float64 term of each source; 0 for a source without weight


def fuse_scores(scores: NDArray[np.float64], indptr: NDArray[np.int64], weights: NDArray[np.float64]) -> Fused:
    """Weighted sum of the sources' scores, in their order; a source of weight 0 is not read.

    Args:
        scores: (n_sources, n) float64 of all users' candidates.
        indptr: (n_users + 1,) int64 bounds of each user's candidates.
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
    """Each user's candidates with a finite score, by score desc, then position.

    Args:
        scores: (n,) float64 of all users' candidates.
        indptr: (n_users + 1,) int64 bounds of each user's candidates.

    Returns:
        (n_users + 1,) int64 bounds and (n_ranked,) int64 positions among all candidates.
    """
    negative = np.where(np.isfinite(scores), -scores, np.inf)
    parts = [start + negative[start:end].argsort(kind="stable") for start, end in pairwise(indptr.tolist())]
    order = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
    ranks = np.isfinite(negative[order])
    return indptr_of(np.bincount(owners_of(indptr)[ranks], minlength=len(indptr) - 1)), order[ranks]
