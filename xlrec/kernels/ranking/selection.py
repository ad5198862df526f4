"""From candidates to a list: one greedy for score, diversity, languages and category caps, then the fill up to k.

Source: Carbonell and Goldstein 1998, "The use of MMR" (maximal marginal relevance); Steck 2018, "Calibrated
recommendations", section 4 (greedy over score and KL divergence).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import entries_of
from xlrec.kernels.base.numba_options import njit_without_refcounts
from xlrec.kernels.ranking.calibration import ALPHA, Mix
from xlrec.kernels.search.exact_scores import dot_by_simd


class Candidates(NamedTuple):
    """A user's candidates, best first."""

    relevance: NDArray[np.float64]
    """(n,) float64; 1 is the user's best, so that the weights mean the same for all users."""
    vectors: NDArray[np.float32]
    """(n, dim) float32, unit norm or zero, whose cosine with all is 0; not read where diversity is 0."""
    groups: NDArray[np.int64]  # (n,) int64 language of each item, a row of `Mix.target`


class Caps(NamedTuple):
    """Categories of items as CSR, and the most items of each in a list."""

    indptr: NDArray[np.int64]  # (n + 1,) int64
    codes: NDArray[np.int64]  # (indptr[-1],) int64 numbers of the categories, from 0
    most: int  # Most items of one category; 0 = no limit, then `indptr` and `codes` are not read

    @staticmethod
    def unlimited() -> "Caps":
        """No limit."""
        return Caps(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), 0)

    @staticmethod
    def of_items(
        item_nums: NDArray[np.int32], indptr: NDArray[np.int64], codes: NDArray[np.int32], most: int
    ) -> "Caps":
        """The caps of some items, from the CSR of all items.

        Args:
            item_nums: (n,) int32 items.
            indptr: (n_items + 1,) int64 bounds of each item's categories.
            codes: (n_codes,) int32 categories, item after item.
            most: items of one category, at most; 0 = no limit.
        """
        if not most:
            return Caps.unlimited()
        local, at = entries_of(indptr, item_nums)
        return Caps(local, np.unique(codes[at], return_inverse=True)[1].astype(np.int64), most)


class _State(NamedTuple):
    """Progress of the greedy over n items."""

    free: NDArray[np.bool_]  # (n,) neither taken nor a near-duplicate
    base: NDArray[np.float64]  # (n,) relevance's part of the gain
    wide: NDArray[np.float64]  # (n, dim) vectors
    norms: NDArray[np.float64]  # (n,)
    nearest: NDArray[np.float64]  # (n,) largest cosine with the first n_met items taken
    n_met: NDArray[np.int64]  # (n,)
    n_in_group: NDArray[np.int64]  # (n_groups,) items taken
    costs: NDArray[np.float64]  # (n_groups,) weighted divergence after one more item of the group
    n_in_category: NDArray[np.int64]  # (n_categories,) items taken


def select_items(
    k: int, candidates: Candidates, diversity: float, mix: Mix, caps: Caps, kept: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """(n_taken,) int64 positions of a user's items in list order; fewer than k only where the caps leave no more.

    Each step takes the item with the largest (1 - λ) · ((1 - d) · relevance - d · largest cosine with the items taken)
    - λ · KL(p ‖ q̃ with the item), where d is `diversity`, λ is `mix.weight` and the cosine with nothing is 0; ties go
    to the first position. An item with a full category is passed over, and so is one that `kept` (n,) bool leaves out,
    such as `keep_distinct` says.
    """
    free = np.ones(len(candidates.relevance), dtype=np.bool_) if kept is None else kept.copy()
    taken = np.empty(min(k, len(free)), dtype=np.int64)
    return taken[: _select(taken, free, candidates, float(diversity), mix, caps)]


@njit(cache=True)
def _select(taken: Any, free: Any, candidates: Any, diversity: Any, mix: Any, caps: Any) -> Any:
    """Fills `taken`; returns how many there are."""
    relevance, vectors, groups = candidates
    n = len(free)
    wide, norms = np.empty((0, 0)), np.zeros(n)
    if diversity > 0:
        wide = vectors.astype(np.float64)
        for i in range(n):
            norms[i] = np.sqrt(dot_by_simd(wide[i], vectors[i]))
    state = _State(
        free, (1 - diversity) * relevance, wide, norms, np.zeros(n), np.zeros(n, dtype=np.int64),
        np.zeros(len(mix.target), dtype=np.int64), np.zeros(len(mix.target)), _no_counts(caps),
    )  # fmt: skip
    for size in range(len(taken)):
        if mix.weight > 0:
            _write_costs(mix, state.n_in_group, size, state.costs)
        best = _best(taken, size, candidates, diversity, mix, caps, state)
        if best < 0:
            return size
        if size == 0:
            state.nearest[:] = -2.0  # below every cosine: none with the first item is known yet
        taken[size], free[best] = best, False
        state.n_in_group[groups[best]] += 1
        _count(best, caps, state.n_in_category)
    return len(taken)


@njit_without_refcounts
def _best(taken: Any, size: Any, candidates: Any, diversity: Any, mix: Any, caps: Any, state: Any) -> Any:
    """The first free item of the largest gain that the caps allow; -1 where there is none.

    Cosines are made only where they can matter: a gain only falls as items are taken (Minoux 1978, lazy greedy).
    """
    best, most_gain = -1, -np.inf
    for i in range(len(state.free)):
        if not state.free[i]:
            continue
        gain = _gain(i, candidates, diversity, mix, state)
        if gain <= most_gain or _full(i, caps, state.n_in_category):
            continue
        while diversity > 0 and state.n_met[i] < size and gain > most_gain:
            other = taken[state.n_met[i]]
            norms = state.norms[i] * state.norms[other]
            cosine = dot_by_simd(state.wide[i], candidates.vectors[other]) / norms if norms > 0 else 0.0
            state.nearest[i] = max(state.nearest[i], cosine)
            state.n_met[i] += 1
            gain = _gain(i, candidates, diversity, mix, state)
        if gain > most_gain:
            best, most_gain = i, gain
    return best


@njit_without_refcounts
def _gain(i: Any, candidates: Any, diversity: Any, mix: Any, state: Any) -> Any:
    gain = state.base[i]
    if diversity > 0:
        gain -= diversity * state.nearest[i]
    return (1 - mix.weight) * gain - state.costs[candidates.groups[i]] if mix.weight > 0 else gain


@njit_without_refcounts
def _write_costs(mix: Any, counts: Any, size: Any, costs: Any) -> None:
    """Writes the weighted KL(p ‖ q̃) after one more item of each group."""
    for group in range(len(mix.target)):
        total = 0.0
        for g in range(len(mix.target)):
            if mix.target[g] > 0:
                share = (counts[g] + (1 if g == group else 0)) / (size + 1)
                total += mix.target[g] * np.log(mix.target[g] / ((1 - ALPHA) * share + ALPHA * mix.target[g]))
        costs[group] = mix.weight * total


@njit(cache=True)
def _no_counts(caps: Any) -> Any:
    """(n_categories,) int64 zeros."""
    return np.zeros(caps.codes.max() + 1 if len(caps.codes) else 0, dtype=np.int64)


@njit_without_refcounts
def _full(i: Any, caps: Any, counts: Any) -> Any:
    if caps.most > 0:
        for at in range(caps.indptr[i], caps.indptr[i + 1]):
            if counts[caps.codes[at]] >= caps.most:
                return True
    return False


@njit_without_refcounts
def _count(i: Any, caps: Any, counts: Any) -> Any:
    if caps.most > 0:
        for at in range(caps.indptr[i], caps.indptr[i + 1]):
            counts[caps.codes[at]] += 1


def fill_list(
    k: int, taken: NDArray[np.int64], n_candidates: int, copies: NDArray[np.bool_], caps: Caps
) -> NDArray[np.int64]:
    """(min(k, n),) int64 positions of a list lengthened to k, those taken first, in order.

    Items are added in this order, each from the first position on: candidates that keep the caps, candidates, items to
    fall back on, then near-duplicates of better items.

    Args:
        k: length of the list.
        taken: (n_taken,) int64 positions in the list already.
        n_candidates: positions below are candidates, best first; the others are to fall back on, best first.
        copies: (n,) bool: near-duplicates of better items.
        caps: of all n items.
    """
    filled = np.empty(min(k, len(copies)), dtype=np.int64)
    _fill(filled, taken, n_candidates, copies, caps)
    return filled


@njit(cache=True)
def _fill(filled: Any, taken: Any, n_candidates: Any, copies: Any, caps: Any) -> None:
    n, size = len(copies), 0
    free, counts = np.ones(n, dtype=np.bool_), _no_counts(caps)
    for i in taken:
        filled[size], free[i] = i, False
        size += 1
        _count(i, caps, counts)
    for tier in range(4):
        for i in range(n_candidates if tier < 2 else n):
            if size == len(filled):
                return
            if not free[i] or (tier < 3 and copies[i]) or (tier == 0 and _full(i, caps, counts)):
                continue
            filled[size], free[i] = i, False
            size += 1
            _count(i, caps, counts)
