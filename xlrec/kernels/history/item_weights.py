"""Item-to-item weights of every market: a regression of each item on its nearest items, plus their closeness.

EASE (Steck 2019) inverts the Gram matrix of all items; here each item has a ridge regression of its own, on its
nearest co-chosen items, whose weights are never negative in the end (SLIM, fsSLIM: Ning and Karypis 2011). Cost grows
with items × predictors³ instead of items³.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.history.covisits import PairCounts
from xlrec.kernels.search.mask import first_from

#: Regression weights smaller than this say nothing: solving leaves them where the true weight is 0.
_LEAST: Final = 1e-12
#: Times log2 of a row's length, what looking a number up costs beside reading one in order.
_LOOKUP: Final = 4


class Mixture(NamedTuple):
    """Constants of a market's scores: its users weigh 1, all others `others`, in every count."""

    others: float
    """From 0 to 1."""
    regression: bool
    penalty: float
    """Of the regression, in weighed users; above 0."""
    n_predictors: int
    """History items that make an item's score, at most."""
    sequence: float
    """Weight of closeness beside the regression; at least 0."""
    normalisation: float
    """Exponent of the history item's users in closeness; the other item's have what is left to 1."""


class Weights(NamedTuple):
    """Scores above 0 of `item` for a user of `market` with `history` in her history, row for row."""

    market: NDArray[np.int32]  # (n,), as the next two
    history: NDArray[np.int32]
    item: NDArray[np.int32]
    score: NDArray[np.float64]  # (n,)


class Counts(NamedTuple):
    """`PairCounts` of blocks 0, 1, ... one after another."""

    starts: NDArray[np.int64]
    """(n_blocks + 1,) int64 first row of each block."""
    users: NDArray[np.int32]  # (n_rows,)
    indptr: NDArray[np.int64]
    """(n_rows + 1,) int64 bounds in the next three."""
    nums: NDArray[np.int32]  # (n_pairs,), as `counts`
    counts: NDArray[np.int32]
    closeness: NDArray[np.float64]  # (n_pairs,)

    @staticmethod
    def join_blocks(blocks: Sequence[PairCounts]) -> "Counts":
        """Counts of pairs in memory."""
        users, sizes, *entries = (np.concatenate(field) for field in zip(*blocks, strict=True))
        return Counts(indptr_of(np.array([len(block.users) for block in blocks])), users, indptr_of(sizes), *entries)


def item_weights(counts: Counts, items: NDArray[np.int32], sold: NDArray[np.bool_], mixture: Mixture) -> Weights:
    """Weights of some items, by item, then market, then history item; independent of the other items.

    score(h, i) = max(0, r_h) + sequence · C_hi / (n_h^a · n_i^(1 - a)), a = normalisation, over the predictors h of i.
    r = (G_NN + penalty)⁻¹ G_Ni minimises Σ_u w_u (x_ui - Σ_h r_h x_uh)² + penalty · ‖r‖² over users u, w_u = 1 in the
    market and `others` elsewhere: G_hi is the weighed number of users who chose both, n_h that of h, C_hi their
    closeness. The predictors N are the `n_predictors` items with the largest G_hi / √n_h, without a regression those
    with the largest score; ties by item_num. An item never predicts itself. With N = all items, i is predicted as by
    EASE without its own column. Items are (n,) int32; `sold` is (n, n_markets) bool: markets for which weights are
    wanted.
    """
    n_items = (len(counts.starts) - 1) * int(np.diff(counts.starts).max() // (1 + sold.shape[1]))
    rows: tuple[Any, ...] = _weights(counts, items, sold, mixture, np.full(n_items, -1, dtype=np.int32))
    return Weights(*rows)


@njit(cache=True, nogil=True)
def _weights(counts, items, sold, mixture, places):  # type: ignore[no-untyped-def]
    n_sides, room = 1 + sold.shape[1], _room(counts, items, sold, mixture.n_predictors)
    markets, history = np.empty(room, np.int32), np.empty(room, np.int32)
    targets, scores, size = np.empty(room, np.int32), np.empty(room), 0
    for at in range(len(items)):
        row, known, near, values = _first_row(counts, items[at], n_sides), False, np.empty(0, np.int32), np.empty(0)
        for market in range(sold.shape[1] if row >= 0 else 0):
            if not sold[at, market]:
                continue
            mine = _here(counts, row, 1 + market, n_sides)
            if mine or not known:  # where nobody of the market chose anything near, all markets score alike
                near, values = _item(counts, row, 1 + market, n_sides, mixture, places)
                known = not mine
            for place in range(len(near)):
                if values[place] > 0:
                    markets[size], history[size], targets[size] = market, near[place], items[at]
                    scores[size] = values[place]
                    size += 1
    return markets[:size], history[:size], targets[:size], scores[:size]


@njit(cache=True)
def _room(counts, items, sold, n_predictors):  # type: ignore[no-untyped-def]
    """Weights at most."""
    room = 0
    for at in range(len(items)):
        row = _first_row(counts, items[at], 1 + sold.shape[1])
        for market in range(sold.shape[1] if row >= 0 else 0):
            room += min(counts.indptr[row + 1] - counts.indptr[row], n_predictors) if sold[at, market] else 0
    return room


@njit(cache=True)
def _first_row(counts, item, n_sides):  # type: ignore[no-untyped-def]
    """The item's row of all users; -1 where nobody chose it."""
    n_blocks = len(counts.starts) - 1
    row = counts.starts[item % n_blocks] + item // n_blocks * n_sides
    return row if row < counts.starts[item % n_blocks + 1] else -1


@njit(cache=True)
def _users(counts, row, side, others):  # type: ignore[no-untyped-def]
    return others * counts.users[row] + (1.0 - others) * counts.users[row + side]


@njit(cache=True)
def _here(counts, row, side, n_sides):  # type: ignore[no-untyped-def]
    """Whether users of the market chose the item of this row, or one that was chosen with it."""
    if counts.users[row + side] > 0:
        return True
    for num in counts.nums[counts.indptr[row] : counts.indptr[row + 1]]:
        if counts.users[_first_row(counts, num, n_sides) + side] > 0:
            return True
    return False


@njit(cache=True)
def _item(counts, row, side, n_sides, mixture, places):  # type: ignore[no-untyped-def]
    """Predictors, ascending, and their scores, which may be 0."""
    low, high = counts.indptr[row], counts.indptr[row + 1]
    near, both, users = np.empty(high - low, np.int32), np.empty(high - low), np.empty(high - low)
    scores, measure, n = np.empty(high - low), np.empty(high - low), 0
    n_item = _users(counts, row, side, mixture.others) ** (1.0 - mixture.normalisation)
    own, last, rest = counts.indptr[row + side], counts.indptr[row + side + 1], 1.0 - mixture.others
    for at in range(low, high):
        num, n_both = counts.nums[at], mixture.others * counts.counts[at]
        closeness = mixture.others * counts.closeness[at]
        if own < last and counts.nums[own] == num:
            n_both += rest * counts.counts[own]
            closeness += rest * counts.closeness[own]
            own += 1
        if n_both > 0:
            near[n], both[n] = num, n_both
            users[n] = _users(counts, _first_row(counts, num, n_sides), side, mixture.others)
            scores[n] = mixture.sequence * closeness / (users[n] ** mixture.normalisation * n_item)
            measure[n] = -n_both / np.sqrt(users[n]) if mixture.regression else -scores[n]
            n += 1
    kept, size = np.zeros(n, np.bool_), 0
    kept[np.argsort(measure[:n], kind="mergesort")[: mixture.n_predictors]] = True
    for at in range(n):
        if kept[at]:
            near[size], both[size], users[size], scores[size] = near[at], both[at], users[at], scores[at]
            size += 1
    if mixture.regression:
        regression = _regress(counts, near[:size], both[:size], users[:size], side, n_sides, mixture, places)
        for at in range(size):
            scores[at] += regression[at] if regression[at] > _LEAST else 0.0
    return near[:size], scores[:size]


@njit(cache=True)
def _regress(counts, near, right, users, side, n_sides, mixture, places):  # type: ignore[no-untyped-def]
    """(G_NN + penalty)⁻¹ G_Ni by Cholesky."""
    n = len(near)
    inner = np.zeros((n, n))
    for at in range(n):
        places[near[at]] = at
    for at in range(n):  # ascending, so that what follows in a row is the lower triangle's column
        inner[at, at] = users[at] + mixture.penalty
        row = _first_row(counts, near[at], n_sides)
        _add_row(counts, row, near, at, mixture.others, places, inner)
        _add_row(counts, row + side, near, at, 1.0 - mixture.others, places, inner)
    for at in range(n):
        places[near[at]] = -1
    lower, solved = np.linalg.cholesky(inner), right
    for at in range(n):
        for before in range(at):
            solved[at] -= lower[at, before] * solved[before]
        solved[at] /= lower[at, at]
    for at in range(n - 1, -1, -1):
        solved[at] /= lower[at, at]
        for before in range(at):
            solved[before] -= lower[at, before] * solved[at]
    return solved


@njit(cache=True)
def _add_row(counts, row, near, column, weight, places, inner):  # type: ignore[no-untyped-def]
    """Adds a predictor's weighed counts with those after it; a long row is looked up, a short one read through."""
    high = counts.indptr[row + 1]
    low = first_from(counts.nums, counts.indptr[row], high, near[column])
    if high - low > _LOOKUP * (len(near) - column) * np.log2(1.0 + high - low):
        for place in range(column + 1, len(near)):
            low = first_from(counts.nums, low, high, near[place])
            if low < high and counts.nums[low] == near[place]:
                inner[place, column] += weight * counts.counts[low]
    else:
        for at in range(low, high):
            if places[counts.nums[at]] >= 0:
                inner[places[counts.nums[at]], column] += weight * counts.counts[at]
