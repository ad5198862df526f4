"""Co-visitation of a block of items, from the logs of everybody who chose one of them."""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LIMB: Final = float(1 << 32)
#: Pairs held at once; 12 bytes each.
_PAIRS: Final = 1 << 24
_DAY: Final = 86_400_000_000.0  # microseconds


class Logs(NamedTuple):
    """CSR over users, oldest first; what a pair is made of."""

    indptr: NDArray[np.int64]
    nums: NDArray[np.int32]
    micros: NDArray[np.int64]
    weights: NDArray[np.float64]
    decays: NDArray[np.float64]
    """What an event counts for its age."""
    norms: NDArray[np.float64]
    """Of the event's item: what its scores are divided by."""


class Rules(NamedTuple):
    """How a pair counts."""

    window: int
    """Events ahead that are paired."""
    max_gap_days: float
    gap_half_life_days: float
    gap_half_life_items: float
    backward: float
    """Of a pair read backwards."""


def neighbours(
    logs: Logs, block: int, n_blocks: int, rules: Rules, n_best: int, pairs_at_once: int = _PAIRS
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Items, their best neighbours and scores, by item, then (score desc, neighbour asc).

    Of the items whose number leaves `block` when divided by `n_blocks`. score(a, b) = Σ value / (norm_a · norm_b) over
    the pairs, value = √(w_a · w_b) · 0.5^(gap / half-life) · 0.5^(events between / half-life) · decay of the later;
    backwards times `backward`. Values are cut to 2⁻⁶⁴ and added as integers: any order of users gives the same bits.

    Args:
        logs: Of everybody who chose an item of the block.
        block: Which items.
        n_blocks: At least 1.
        rules: How a pair counts.
        n_best: Neighbours an item.
        pairs_at_once: Bounds memory, never changes a result.
    """
    n_items = int(logs.nums.max(initial=-1)) + 1
    norms = np.ones(n_items)
    norms[logs.nums] = logs.norms
    n_mine = -(-max(0, n_items - block) // n_blocks)
    counts = _count(logs.indptr, logs.nums, block, n_blocks, rules.window, n_mine)
    ends = np.cumsum(counts)
    found, low = [], 0
    scratch = np.zeros((2, n_items), dtype=np.int64)
    longest = int(np.diff(logs.indptr).max(initial=0))
    places = 0.5 ** (np.arange(longest) / rules.gap_half_life_items)
    while low < n_mine:
        before = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + pairs_at_once, side="right")))
        if ends[high - 1] > before:
            starts = np.concatenate([[0], ends[low:high] - before]).astype(np.int64)
            others, values = _fill(logs, rules, places, block, n_blocks, low, high, starts)
            found.append(_best(starts, others, values, block, n_blocks, low, norms, n_best, scratch))
        low = high
    empty = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0)
    parts: Any = list(zip(empty, *found, strict=True))
    return tuple(np.concatenate(part) for part in parts)  # type: ignore[return-value]  # three of them


@njit(cache=True)
def _count(indptr, nums, block, n_blocks, window, n_mine):  # type: ignore[no-untyped-def]
    """(n_mine,) pairs of each item at most: both ways, whatever the gap."""
    counts = np.zeros(n_mine, np.int64)
    for user in range(len(indptr) - 1):
        low, high = indptr[user], indptr[user + 1]
        for i in range(low, high):
            if nums[i] % n_blocks == block:
                counts[nums[i] // n_blocks] += min(window, high - 1 - i) + min(window, i - low)
    return counts


@njit(cache=True)
def _fill(logs, rules, places, block, n_blocks, first, last, starts):  # type: ignore[no-untyped-def]
    """The pairs of items first..last, item after item; a value of 0 is none."""
    others, values = np.zeros(starts[-1], np.int32), np.zeros(starts[-1])
    ends = starts[:-1].copy()
    for user in range(len(logs.indptr) - 1):
        low, high = logs.indptr[user], logs.indptr[user + 1]
        for i in range(low, high):
            mine = logs.nums[i] // n_blocks
            if logs.nums[i] % n_blocks != block or not first <= mine < last:
                continue
            for j in range(max(low, i - rules.window), min(high, i + rules.window + 1)):
                early, late = min(i, j), max(i, j)
                gap = (logs.micros[late] - logs.micros[early]) / _DAY
                if logs.nums[i] == logs.nums[j] or gap > rules.max_gap_days:
                    continue
                value = np.sqrt(logs.weights[i] * logs.weights[j]) * 0.5 ** (gap / rules.gap_half_life_days)
                value *= places[late - early - 1] * logs.decays[late]
                others[ends[mine - first]] = logs.nums[j]
                values[ends[mine - first]] = value if i < j else value * rules.backward
                ends[mine - first] += 1
    return others, values


@njit(cache=True)
def _best(starts, others, values, block, n_blocks, first, norms, n_best, scratch):  # type: ignore[no-untyped-def]
    n = len(starts) - 1
    room = np.minimum(np.diff(starts), n_best).sum()
    items, near, scores, size = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room), 0
    for mine in range(n):
        touched, n_touched = np.empty(starts[mine + 1] - starts[mine], np.int32), 0
        num = (first + mine) * n_blocks + block
        for at in range(starts[mine], starts[mine + 1]):
            other, whole = others[at], np.floor(values[at] * _LIMB)
            part = np.floor((values[at] * _LIMB - whole) * _LIMB)
            if whole == 0 and part == 0:
                continue
            if scratch[0, other] == 0 and scratch[1, other] == 0:
                touched[n_touched] = other
                n_touched += 1
            scratch[0, other] += np.int64(whole)
            scratch[1, other] += np.int64(part)
        listed = np.sort(touched[:n_touched])
        found = np.empty(n_touched)
        for at in range(n_touched):
            other = listed[at]
            total = scratch[0, other] / _LIMB + scratch[1, other] / _LIMB / _LIMB
            found[at] = total / (norms[num] * norms[other]) if norms[num] * norms[other] > 0 else 0.0
            scratch[0, other] = scratch[1, other] = 0
        order = np.argsort(-found, kind="mergesort")[:n_best]
        for at in order:
            if found[at] > 0:
                items[size], near[size], scores[size] = num, listed[at], found[at]
                size += 1
    return items[:size], near[:size], scores[:size]
