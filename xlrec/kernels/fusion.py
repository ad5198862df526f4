"""Fused scores of users' candidates, and the terms that they are made of.

fused(i) = Σ_s weight_s · score_s(i) / best_s, where best_s is the user's best score in source s. It is linear in the
history's terms, so that a reason names what the score is really made of. Candidates of all users lie one after another:
user u's are `indptr[u]` to `indptr[u + 1]`.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.csr import owners_of
from xlrec.kernels.sums import numpy_sum


class Fused(NamedTuple):
    """Scores of n candidates from several sources."""

    scores: NDArray[np.float64]
    """(n,) sum of the terms; not finite where a source that counts gave no finite score: such an item never ranks."""
    terms: NDArray[np.float64]
    """(n_sources, n) what each source adds; 0 for a source without weight or without a positive score."""
    bests: NDArray[np.float64]
    """(n_users, n_sources) best finite score of each source that counts, at least 0."""


def fuse(scores: NDArray[np.float64], indptr: NDArray[np.int64], weights: NDArray[np.float64]) -> Fused:
    """Weighted sum of the sources, each divided by the user's best score first.

    Args:
        scores: (n_sources, n) float64; rows of sources with weight 0 are not looked at.
        indptr: (n_users + 1,) int64.
        weights: (n_sources,) float64, >= 0.

    Returns:
        The fused scores; a source whose best score is not positive adds 0 to every candidate of the user.
    """
    return Fused(*_fuse(scores, indptr, weights))


@njit(cache=True)
def _best(scores: Any) -> Any:
    best = 0.0
    for score in scores:
        if np.isfinite(score) and score > best:
            best = score
    return best


@njit(cache=True)
def _fuse(scores: Any, indptr: Any, weights: Any) -> Any:
    n_sources, n = scores.shape
    fused, terms, bests = np.zeros(n), np.zeros((n_sources, n)), np.zeros((len(indptr) - 1, n_sources))
    for user in range(len(bests)):
        start, end = indptr[user], indptr[user + 1]
        for source in range(n_sources):
            if not weights[source] > 0:
                continue
            best = _best(scores[source, start:end])
            bests[user, source] = best
            for i in range(start, end):
                if not np.isfinite(scores[source, i]):
                    terms[source, i] = np.nan
                elif best > 0:
                    terms[source, i] = weights[source] * (scores[source, i] / best)
                fused[i] += terms[source, i]
    return fused, terms, bests


def odds(logits: NDArray[np.float64], indptr: NDArray[np.int64], scale: float) -> NDArray[np.float64]:
    """(n,) exp((logit - the user's best) / scale), in (0, 1]; not finite where a logit is not.

    Args:
        logits: (n,) float64.
        indptr: (n_users + 1,) int64.
        scale: Above 0; the larger, the less the best stand out.
    """
    finite = np.isfinite(logits)
    bests = _finite_bests(logits, indptr)[owners_of(indptr)]
    return np.where(finite, np.exp((np.where(finite, logits, bests) - bests) / scale), np.nan)


@njit(cache=True)
def _finite_bests(values: Any, indptr: Any) -> Any:
    """(n_users,) largest finite value; 0 where there is none."""
    found = np.zeros(len(indptr) - 1)
    for user in range(len(found)):
        best = -np.inf
        for value in values[indptr[user] : indptr[user + 1]]:
            if np.isfinite(value) and value > best:
                best = value
        found[user] = best if best > -np.inf else 0.0
    return found


def credit(fused: Fused, indptr: NDArray[np.int64], source: int, untaught: NDArray[np.bool_]) -> Fused:
    """The same, where candidates of which the other sources know nothing get what those expect at such a score.

    A new item has no co-visitation and no popularity: with plain sums it would lose against any known one, however well
    it suits. It is credited, in the term of `source`, with b · term_source, where b = Σ t · o / Σ t² over the user's
    taught candidates is the least-squares slope of the others' terms o on the source's term t.

    Args:
        fused: Of `fuse`.
        indptr: (n_users + 1,) int64.
        source: Row of the source that knows every candidate.
        untaught: (n,) candidates that no other source was taught.
    """
    scores, terms = fused.scores.copy(), fused.terms.copy()
    _credit(scores, terms[source], indptr, untaught)
    return Fused(scores, terms, fused.bests)


@njit(cache=True)
def _credit(scores: Any, terms: Any, indptr: Any, untaught: Any) -> None:
    for user in range(len(indptr) - 1):
        start, end = indptr[user], indptr[user + 1]
        slope = _slope(scores[start:end], terms[start:end], untaught[start:end])
        for i in range(start, end):
            if slope > 0 and untaught[i] and np.isfinite(terms[i]):
                added = slope * terms[i]
                terms[i] += added
                scores[i] += added


@njit(cache=True)
def _slope(scores: Any, terms: Any, untaught: Any) -> Any:
    """Σ t · o / Σ t²; 0 where nothing was taught."""
    n_taught, squares, products = 0, np.empty(len(scores)), np.empty(len(scores))
    for i in range(len(scores)):
        if not untaught[i] and np.isfinite(scores[i]):
            squares[n_taught], products[n_taught] = terms[i] * terms[i], terms[i] * (scores[i] - terms[i])
            n_taught += 1
    square = numpy_sum(squares[:n_taught])
    return numpy_sum(products[:n_taught]) / square if square > 0 else 0.0


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
