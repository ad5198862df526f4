"""Fused scores of one user's candidates, and the terms that they are made of.

fused(i) = Σ_s weight_s · score_s(i) / best_s, where best_s is the user's best score in source s. It is linear in the
history's terms, so that a reason names what the score is really made of.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.lanes import EIGHT, eight_dots


class Fused(NamedTuple):
    """Scores of n candidates from several sources."""

    scores: NDArray[np.float64]
    """(n,) sum of the terms; not finite where a source that counts gave no finite score: such an item never ranks."""
    terms: NDArray[np.float64]
    """(n_sources, n) what each source adds; 0 for a source without weight or without a positive score."""
    bests: NDArray[np.float64]
    """(n_sources,) best finite score of each source that counts, at least 0."""


def fuse(scores: NDArray[np.float64], weights: NDArray[np.float64]) -> Fused:
    """Weighted sum of the sources, each divided by its best score first.

    Args:
        scores: (n_sources, n) float64; rows of sources with weight 0 are not looked at.
        weights: (n_sources,) float64, >= 0.

    Returns:
        The fused scores; a source whose best score is not positive adds 0 to every candidate.
    """
    return Fused(*_fuse(scores, weights))


@njit(cache=True)
def _fuse(scores: Any, weights: Any) -> Any:
    n_sources, n = scores.shape
    fused, terms, bests = np.zeros(n), np.zeros((n_sources, n)), np.zeros(n_sources)
    for source in range(n_sources):
        if not weights[source] > 0:
            continue
        best = 0.0
        for i in range(n):
            if np.isfinite(scores[source, i]) and scores[source, i] > best:
                best = scores[source, i]
        bests[source] = best
        for i in range(n):
            if not np.isfinite(scores[source, i]):
                terms[source, i] = np.nan
            elif best > 0:
                terms[source, i] = weights[source] * (scores[source, i] / best)
            fused[i] += terms[source, i]
    return fused, terms, bests


def odds(logits: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """(n,) exp((logit - best) / scale), in (0, 1]: against the best; not finite where a logit is not.

    Args:
        logits: (n,) float64.
        scale: Above 0; the larger, the less the best stand out.
    """
    finite = logits[np.isfinite(logits)]
    best = finite.max() if len(finite) else 0.0
    return np.where(np.isfinite(logits), np.exp((np.where(np.isfinite(logits), logits, best) - best) / scale), np.nan)


def credit(fused: Fused, source: int, untaught: NDArray[np.bool_]) -> Fused:
    """The same, where candidates of which the other sources know nothing get what those expect at such a score.

    A new item has no co-visitation and no popularity: with plain sums it would lose against any known one, however well
    it suits. It is credited, in the term of `source`, with b · term_source, where b = Σ t · o / Σ t² over the taught
    candidates is the least-squares slope of the others' terms o on the source's term t.

    Args:
        fused: Of `fuse`.
        source: Row of the source that knows every candidate.
        untaught: (n,) candidates that no other source was taught.
    """
    own = np.where(np.isfinite(fused.terms[source]), fused.terms[source], 0.0)
    taught = ~untaught & np.isfinite(fused.scores)
    square = float((own[taught] ** 2).sum())
    if not untaught.any() or square <= 0:
        return fused
    others = np.where(taught, fused.scores - fused.terms[source], 0.0)
    slope = max(0.0, float((own[taught] * others[taught]).sum()) / square)
    terms = fused.terms.copy()
    terms[source, untaught] += slope * own[untaught]
    scores = fused.scores + np.where(untaught, slope * own, 0.0)
    return Fused(scores, terms, fused.bests)


def best_first(scores: NDArray[np.float64], item_nums: NDArray[np.int32]) -> NDArray[np.int64]:
    """Positions of the candidates with a finite score, score desc, item_num asc.

    Args:
        scores: (n,) float64.
        item_nums: (n,) int.
    """
    order = np.lexsort((item_nums, -scores))
    return order[np.isfinite(scores[order])]


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
    order = np.argsort(items)
    found = np.zeros((len(items), len(history)))
    found[order] = _covisited_terms(history, weights, items[order], *neighbours)
    return found


@njit(cache=True)
def _covisited_terms(history: Any, weights: Any, ordered: Any, indptr: Any, nums: Any, scores: Any) -> Any:
    n = len(ordered)
    terms = np.zeros((n, len(history)))
    for h in range(len(history)):
        for at in range(indptr[history[h]], indptr[history[h] + 1]):
            i = np.searchsorted(ordered, nums[at])
            if i < n and ordered[i] == nums[at]:
                terms[i, h] = weights[h] * scores[at]
    return terms


@njit(cache=True)
def _heaviest(terms: Any, n_best: Any) -> Any:
    n, n_history = terms.shape
    found = np.full((n, n_best), -1, dtype=np.int64)
    for i in range(n):
        for place in range(n_best):
            best = -1
            for h in range(n_history):
                taken = False
                for before in range(place):
                    taken = taken or found[i, before] == h
                if not taken and terms[i, h] > 0 and (best < 0 or terms[i, h] > terms[i, best]):
                    best = h
            if best < 0:
                break
            found[i, place] = best
    return found


def heaviest(terms: NDArray[np.float64], n_best: int) -> NDArray[np.int64]:
    """Positions of each row's largest positive terms, largest first, ties by position.

    Args:
        terms: (n, n_history) float64.
        n_best: Most positions per row.

    Returns:
        (n, n_best) int64, filled up with -1.
    """
    found: NDArray[np.int64] = _heaviest(terms, n_best)
    return found
