"""Exact counts of pairs of items that the same users chose, and their closeness, by market."""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import indptr_of, owners_of

#: A pair's closeness is cut to 2⁻³² and added as an integer: any order of users gives the same bits.
_UNIT: Final = float(1 << 32)
#: Pairs held at once; 12 bytes each, and as much again for what they add up to.
_PAIRS: Final = 1 << 23
_DAY: Final = 86_400_000_000.0  # microseconds


class ChoiceLogs(NamedTuple):
    """CSR over users, oldest first, each item at most once."""

    indptr: NDArray[np.int64]  # (n_users + 1,)
    nums: NDArray[np.int32]  # (n,) item_nums
    micros: NDArray[np.int64]
    """(n,) int64 microseconds."""
    markets: NDArray[np.int32]
    """(n_users,) int32 market of each user, from 0."""


class Rules(NamedTuple):
    """Constants of the closeness of two choices of one user."""

    window: int
    """Places apart, at most; beyond it closeness is 0."""
    max_gap_days: float
    """Days apart, at most."""
    gap_half_life_days: float
    distance_decay: float
    """Closeness falls with places apart to this power."""


class PairCounts(NamedTuple):
    """Pairs of the items of a block; an item has a row for all users, then one for those of each market.

    Row (item_num // n_blocks) · (1 + n_markets) + side; side 0 is all users, side 1 + m those of market m.
    """

    users: NDArray[np.int32]
    """(n_rows,) int32 users who chose the item."""
    sizes: NDArray[np.int64]
    """(n_rows,) int64 other items in a row."""
    nums: NDArray[np.int32]
    """(n_pairs,) int32 other items, ascending within a row."""
    counts: NDArray[np.int32]
    """(n_pairs,) int32 users who chose both: the item's row of the Gram matrix."""
    closeness: NDArray[np.float64]
    """(n_pairs,) float64 Σ over these users of distance^-decay · 0.5^(gap / half-life), 0 beyond the window."""


def pairs_of_block(
    logs: ChoiceLogs, block: int, n_blocks: int, n_markets: int, rules: Rules, pairs_at_once: int = _PAIRS
) -> PairCounts:
    """`PairCounts` of the items whose number leaves `block` when divided by `n_blocks`.

    `logs` are of everybody who chose an item of the block; `pairs_at_once` bounds memory, never changes a result.
    """
    n_items = int(logs.nums.max(initial=-1)) + 1
    n_mine = -(-max(0, n_items - block) // n_blocks)
    owners, mine = owners_of(logs.indptr), np.flatnonzero(logs.nums % n_blocks == block)
    cells = (logs.nums[mine] // n_blocks).astype(np.int64) * n_markets + logs.markets[owners[mine]]
    partners, shape = np.diff(logs.indptr)[owners[mine]] - 1, (n_mine, n_markets)
    here = np.bincount(cells, minlength=n_mine * n_markets).reshape(shape)
    room = np.bincount(cells, weights=partners, minlength=n_mine * n_markets).reshape(shape).astype(np.int64)
    users = np.concatenate([here.sum(axis=1, keepdims=True), here], axis=1).astype(np.int32)
    ends, low = np.cumsum(room.sum(axis=1)), 0
    scratch = np.zeros((2, n_items), dtype=np.int64)
    distances = np.zeros(int(np.diff(logs.indptr).max(initial=0)) + 1)
    near = min(rules.window, len(distances) - 1)
    distances[1 : near + 1] = np.arange(1.0, near + 1) ** -rules.distance_decay
    empty = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0)
    blocks: list[Any] = [empty]
    while low < n_mine:
        before = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + pairs_at_once, side="right")))
        starts = indptr_of(room[low:high].ravel())
        others, values = _fill(logs, rules, distances, block, n_blocks, n_markets, low, high, starts)
        blocks.append(_add_up(starts, others, values, n_markets, scratch))
        low = high
    sizes, nums, counts, closeness = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return PairCounts(users.ravel(), sizes, nums, counts, closeness)


@njit(cache=True)
def _fill(logs, rules, distances, block, n_blocks, n_markets, first, last, starts):  # type: ignore[no-untyped-def]
    """The pairs of items first..last, item after item, within it market after market."""
    others, values = np.zeros(starts[-1], np.int32), np.zeros(starts[-1], np.int64)
    ends = starts[:-1].copy()
    for user in range(len(logs.indptr) - 1):
        low, high = logs.indptr[user], logs.indptr[user + 1]
        for i in range(low, high):
            mine = logs.nums[i] // n_blocks
            if logs.nums[i] % n_blocks != block or not first <= mine < last:
                continue
            row = (mine - first) * n_markets + logs.markets[user]
            for j in range(low, high):
                if i == j:
                    continue
                gap = abs(logs.micros[i] - logs.micros[j]) / _DAY
                others[ends[row]] = logs.nums[j]
                if distances[abs(i - j)] > 0 and gap <= rules.max_gap_days:
                    value = distances[abs(i - j)] * 0.5 ** (gap / rules.gap_half_life_days)
                    values[ends[row]] = np.int64(np.floor(value * _UNIT))
                ends[row] += 1
    return others, values


@njit(cache=True)
def _add_up(starts, others, values, n_markets, scratch):  # type: ignore[no-untyped-def]
    """Sizes of the rows of `PairCounts`, and what lies in them."""
    n_mine, at = (len(starts) - 1) // n_markets, 0
    sizes = np.zeros(n_mine * (1 + n_markets), np.int64)
    nums, counts = np.empty(2 * len(others), np.int32), np.empty(2 * len(others), np.int32)
    sums = np.empty(2 * len(others))
    for mine in range(n_mine):
        for side in range(1 + n_markets):
            low = starts[mine * n_markets + max(0, side - 1)]
            high = starts[mine * n_markets + side] if side else starts[(mine + 1) * n_markets]
            touched, n_touched = np.empty(high - low, np.int32), 0
            for pair in range(low, high):
                other = others[pair]
                if scratch[0, other] == 0:
                    touched[n_touched] = other
                    n_touched += 1
                scratch[0, other] += 1
                scratch[1, other] += values[pair]
            for other in np.sort(touched[:n_touched]):
                nums[at], counts[at], sums[at] = other, scratch[0, other], scratch[1, other] / _UNIT
                scratch[0, other] = scratch[1, other] = 0
                at += 1
            sizes[mine * (1 + n_markets) + side] = n_touched
    return sizes, nums[:at].copy(), counts[:at].copy(), sums[:at].copy()
