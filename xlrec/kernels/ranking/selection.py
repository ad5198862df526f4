"""From candidates to a list: one greedy for score, diversity, languages and category caps, then the fill up to k.

Source: Carbonell and Goldstein 1998, "The use of MMR" (maximal marginal relevance); Steck 2018, "Calibrated
recommendations", section 4 (greedy over score and KL divergence).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import entries_of
from xlrec.kernels.base.numba_options import uncounted
from xlrec.kernels.ranking.calibration import ALPHA
from xlrec.kernels.ranking.diversity import Copies, products, roundoff, stays
from xlrec.kernels.ranking.nearest import Nearest, begin, exactly, meet


class Caps(NamedTuple):
    """Categories of items as CSR, and how many items of each a list may have."""

    indptr: NDArray[np.int64]
    """(n + 1,) int64."""
    codes: NDArray[np.int64]
    """Numbers of the categories, from 0."""
    most: int
    """Most items of one category; 0 = no limit, then `indptr` and `codes` are not looked at."""

    @staticmethod
    def none() -> "Caps":
        """No limit."""
        return Caps(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), 0)

    @staticmethod
    def of(item_nums: NDArray[np.int32], indptr: NDArray[np.int64], codes: NDArray[np.int32], most: int) -> "Caps":
        """The caps of some items, from the CSR of all items.

        Args:
            item_nums: (n,) rows of the CSR.
            indptr: (n_items + 1,) int64.
            codes: Categories of all items.
            most: Most items of one category; 0 = no limit.
        """
        if not most:
            return Caps.none()
        local, at = entries_of(indptr, item_nums)
        return Caps(local, np.unique(codes[at], return_inverse=True)[1].astype(np.int64), most)


class Mix(NamedTuple):
    """Language of each item, and the mix that the reader wants."""

    groups: NDArray[np.int64]
    """(n,) int64 language of each item, a row of `target`."""
    target: NDArray[np.float64]
    """(n_groups,) float64 wanted share of each; sums to 1."""
    weight: float
    """0..1: weight of the mix against score and diversity; 0 = no regard to languages."""


def select(
    k: int,
    relevance: NDArray[np.float64],
    vectors: NDArray[np.float32],
    diversity: float,
    mix: Mix,
    caps: Caps,
    copies: Copies | None = None,
) -> NDArray[np.int64]:
    """Positions of up to k items in list order; fewer only where the caps leave no more.

    Each step takes the item with the largest
    (1 - λ) · ((1 - d) · relevance - d · largest cosine with the items taken) - λ · KL(p ‖ q̃ with the item),
    where d is `diversity`, λ is `mix.weight` and the cosine with nothing is 0; ties go to the first position.

    Args:
        k: Most items.
        relevance: (n,) float64, best first; 1 is the user's best, so that the weights mean the same for all users.
        vectors: (n, dim) float32, unit norm or zero, whose cosine with all is 0; not looked at where diversity is 0.
        diversity: 0..1.
        mix: Languages.
        caps: Categories; an item with a full category is passed over.
        copies: Items that fall out, of the same vectors, as `diversity.copies_of` decided and goes on to decide; None:
            none do.

    Returns:
        (at most k,) int64; what decides is summed in a fixed order in float64.
    """
    n, margin = len(relevance), 2 * roundoff(vectors.shape[1])  # norms, too, are rounded
    if copies is None:
        copies = Copies.none(products(vectors if diversity else vectors[:0]), n)
    taken = np.empty(min(k, n), dtype=np.int64)
    near = Nearest.of(n, len(taken))
    counts = empty_counts(caps.codes)
    size = select_into(taken, relevance, vectors, *near, margin, diversity, *copies, *mix, *caps, counts)
    return taken[:size]


@uncounted
def _full(i: Any, indptr: Any, codes: Any, counts: Any, most: Any) -> Any:
    if most > 0:
        for at in range(indptr[i], indptr[i + 1]):
            if counts[codes[at]] >= most:
                return True
    return False


@uncounted
def _count(i: Any, indptr: Any, codes: Any, counts: Any, most: Any) -> Any:
    if most > 0:
        for at in range(indptr[i], indptr[i + 1]):
            counts[codes[at]] += 1


@njit(cache=True)
def empty_counts(codes: Any) -> Any:
    """A zero for every category."""
    return np.zeros(codes.max() + 1 if len(codes) else 0, dtype=np.int64)


@uncounted
def _divergences(target: Any, counts: Any, size: Any, found: Any) -> Any:
    """Writes KL(p ‖ q̃) after one more item of each group into `found`."""
    for group in range(len(target)):
        total = 0.0
        for g in range(len(target)):
            if target[g] > 0:
                share = (counts[g] + (1 if g == group else 0)) / (size + 1)
                total += target[g] * np.log(target[g] / ((1 - ALPHA) * share + ALPHA * target[g]))
        found[group] = total


@uncounted
def _gain(base: Any, nearest: Any, diversity: Any, weight: Any, cost: Any) -> Any:
    """Falls as `nearest` grows, in floating point too: a bound of one is a bound of the other."""
    gain = base - diversity * nearest
    return (1 - weight) * gain - cost if weight > 0 else gain


@uncounted
def _best(
    taken: Any, n_taken: Any, free: Any, bases: Any, low: Any, high: Any, done: Any, cosines: Any, lengths: Any,
    vectors: Any, head: Any, margin: Any, diversity: Any, weight: Any, groups: Any, costs: Any,
    indptr: Any, codes: Any, in_category: Any, most: Any, found: Any, uppers: Any,
) -> Any:  # fmt: skip
    """The first free item of the largest gain that the caps allow; -1 where there is none. The last two are scratch."""
    bar, n_found = -np.inf, 0
    apart = diversity > 0 and n_taken > 0
    for i in range(len(free)):
        uppers[i] = _gain(bases[i], low[i], diversity, weight, costs[groups[i]])
    for i in range(len(free)):
        if uppers[i] < bar or not free[i] or _full(i, indptr, codes, in_category, most):
            continue
        while apart and done[i] < n_taken and uppers[i] >= bar:
            meet(i, taken[done[i]], low, high, done, cosines, vectors, head, margin)
            uppers[i] = _gain(bases[i], low[i], diversity, weight, costs[groups[i]])
        if uppers[i] < bar:
            continue
        bar = max(bar, _gain(bases[i], high[i], diversity, weight, costs[groups[i]]))
        found[n_found] = i
        n_found += 1
    n_left = 0
    for at in range(n_found):
        if uppers[found[at]] >= bar:
            found[n_left] = found[at]
            n_left += 1
    best, most_gain = -1, -np.inf
    for at in range(n_left):
        i = found[at]
        nearest = exactly(i, taken, n_taken, low, cosines, lengths, vectors, margin) if n_left > 1 and apart else low[i]
        gain = _gain(bases[i], nearest, diversity, weight, costs[groups[i]])
        if gain > most_gain:
            best, most_gain = i, gain
    return best


@njit(cache=True)
def select_into(
    taken: Any, relevance: Any, vectors: Any, low: Any, high: Any, done: Any, cosines: Any, lengths: Any, margin: Any,
    diversity: Any, head: Any, kept: Any, threshold: Any, least: Any, groups: Any, target: Any, weight: Any,
    indptr: Any, codes: Any, most: Any, in_category: Any,
) -> Any:  # fmt: skip
    """Fills `taken`; returns how many there are. Whether an item is a copy is asked when it would be taken."""
    n = len(relevance)
    free, bases = kept != 0, (1 - diversity) * relevance
    found, uppers = np.empty(n, dtype=np.int64), np.empty(n)
    counts, costs = np.zeros(len(target), dtype=np.int64), np.zeros(len(target))
    for size in range(len(taken)):
        if weight > 0:
            _divergences(target, counts, size, costs)
            for group in range(len(costs)):
                costs[group] *= weight
        best = -1
        while best < 0:
            best = _best(
                taken, size, free, bases, low, high, done, cosines, lengths, vectors, head, margin, diversity,
                weight, groups, costs, indptr, codes, in_category, most, found, uppers,
            )  # fmt: skip
            if best < 0:
                return size
            free[best] = False
            if not stays(best, vectors, head, kept, threshold, least):
                best = -1
        taken[size] = best
        counts[groups[best]] += 1
        _count(best, indptr, codes, in_category, most)
        if size == 0 and diversity > 0:
            begin(low, high)
    return len(taken)


def fill(
    k: int, taken: NDArray[np.int64], n_candidates: int, copies: NDArray[np.bool_], caps: Caps
) -> NDArray[np.int64]:
    """A list lengthened to k: positions of min(k, n) items, those taken first.

    What is added comes in this order, each from the first position on: candidates that keep the caps, candidates, items
    to fall back on, then near-duplicates of what is better.

    Args:
        k: Rows wanted.
        taken: Positions of the list so far, in order.
        n_candidates: Positions below it are candidates, best first; the others are to fall back on, best first.
        copies: (n,) bool: a near-duplicate of a better item.
        caps: Categories of all n items.
    """
    filled: NDArray[np.int64] = _fill(k, taken, n_candidates, copies, *caps)
    return filled


@njit(cache=True)
def _fill(
    k: Any, taken: Any, n_candidates: Any, copies: Any, indptr: Any, codes: Any, most: Any
) -> Any:  # fmt: skip
    n = len(copies)
    found, free, size = np.empty(min(k, n), dtype=np.int64), np.ones(n, dtype=np.bool_), 0
    in_category = empty_counts(codes)
    for i in taken:
        found[size], free[i] = i, False
        size += 1
        _count(i, indptr, codes, in_category, most)
    for tier in range(4):
        for i in range(n_candidates if tier < 2 else n):
            if size == len(found):
                return found
            if not free[i] or (tier < 3 and copies[i]):
                continue
            if tier == 0 and _full(i, indptr, codes, in_category, most):
                continue
            found[size], free[i] = i, False
            size += 1
            _count(i, indptr, codes, in_category, most)
    return found
