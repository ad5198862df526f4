"""Histories of users with the weight of each item, and the profile vectors that they sum up to."""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import owners_of
from xlrec.kernels.base.gather import gather_rows
from xlrec.kernels.search.topk import Shards

_DAY: Final = 86_400_000_000.0  # microseconds
_GATHER: Final = 1 << 15  # history vectors copied at once


class Histories(NamedTuple):
    """CSR over users: weighted items, latest first, and all seen items, ascending."""

    indptr: NDArray[np.int64]  # (n_users + 1,)
    nums: NDArray[np.int32]  # (n,) item_nums
    weights: NDArray[np.float64]
    """(n,) float64, of sum 1 within a user."""
    seen_indptr: NDArray[np.int64]  # (n_users + 1,)
    seen_nums: NDArray[np.int32]
    """(n_seen,) int32 item_nums of all events."""


def weighted_histories(
    indptr: NDArray[np.int64],
    micros: NDArray[np.int64],
    nums: NDArray[np.int32],
    weights: NDArray[np.float64],
    *,
    max_history: int,
    half_life_days: float,
    half_life_items: float,
) -> Histories:
    """Newest distinct items of each user with their decayed weights, and all items the user has seen.

    Items are in the order of their newest weighted event, latest first, ties by item_num. An item weighs the sum over
    its events of event weight × 0.5 ** (days before the user's newest weighted event / half_life_days), times 0.5 **
    (its place, from 0 / half_life_items), which matters more than time where a user is busy within a day; the kept
    items' weights are divided by their total.

    Args:
        indptr: (n_users + 1,) int64 bounds of each user's events.
        micros: (n_events,) int64 microseconds, in any order within a user.
        nums: (n_events,) int32 item_nums.
        weights: (n_events,) float64, at least 0; events of weight 0 are seen, but not in the history.
        max_history: items of a history, at most.
        half_life_days: time in which an event's weight halves.
        half_life_items: places in which an item's weight halves.
    """
    users = owners_of(indptr)
    order = np.lexsort((weights, -micros, nums, users))
    arrays = _histories(
        indptr, micros[order], nums[order], weights[order], max_history, half_life_days * _DAY, half_life_items
    )
    return Histories(*arrays)


def profile_vectors(history: Histories, shards: Shards, dim: int) -> NDArray[np.float64]:
    """(n_users, dim) float64 unit vectors: the weighted sum of the history's vectors, latest first, over its norm.

    NaN where a user has no history or one without any text; a search returns nothing for it.
    """
    n_users = len(history.indptr) - 1
    units = np.zeros((n_users, dim))
    start = 0
    while start < n_users:
        limit = history.indptr[start] + _GATHER
        stop = max(start + 1, int(np.searchsorted(history.indptr, limit, side="right")) - 1)
        low, high = history.indptr[start], history.indptr[stop]
        vectors = gather_rows(shards, history.nums[low:high], dim)
        _add_up(history.indptr[start : stop + 1] - low, history.weights[low:high], vectors, units[start:stop])
        start = stop
    return units


@njit(cache=True)
def _histories(
    indptr: Any, micros: Any, nums: Any, weights: Any, max_history: int, half_life: float, half_life_items: float
) -> Any:
    """The events of each user come by item_num, then newest first."""
    n_users = len(indptr) - 1
    out_ptr, seen_ptr = np.zeros(n_users + 1, np.int64), np.zeros(n_users + 1, np.int64)
    out_nums, seen_nums = np.empty(len(nums), np.int32), np.empty(len(nums), np.int32)
    out_weights = np.empty(len(nums), np.float64)
    n_out = n_seen = 0
    for user in range(n_users):
        low, high = indptr[user], indptr[user + 1]
        newest = np.int64(-(2**63))
        for row in range(low, high):
            if weights[row] > 0 and micros[row] > newest:
                newest = micros[row]
        items = np.empty(high - low, np.int32)
        latest = np.empty(high - low, np.int64)
        shares = np.empty(high - low, np.float64)
        n_items = 0
        last = -1
        for row in range(low, high):
            if row == low or nums[row] != nums[row - 1]:
                seen_nums[n_seen] = nums[row]
                n_seen += 1
            if weights[row] > 0:
                if n_items == 0 or last != nums[row]:
                    last = nums[row]
                    items[n_items], latest[n_items], shares[n_items] = last, micros[row], 0.0
                    n_items += 1
                shares[n_items - 1] += weights[row] * 0.5 ** ((newest - micros[row]) / half_life)
        order = np.argsort(-latest[:n_items], kind="mergesort")[:max_history]  # stable: ties stay by item_num
        total = 0.0
        for rank, place in enumerate(order):
            shares[place] *= 0.5 ** (rank / half_life_items)
            total += shares[place]
        for place in order:
            out_nums[n_out], out_weights[n_out] = items[place], shares[place] / total
            n_out += 1
        out_ptr[user + 1], seen_ptr[user + 1] = n_out, n_seen
    return out_ptr, out_nums[:n_out].copy(), out_weights[:n_out].copy(), seen_ptr, seen_nums[:n_seen].copy()


@njit(cache=True)
def _add_up(indptr: Any, weights: Any, vectors: Any, units: Any) -> None:
    for user in range(len(units)):
        profile = units[user]
        for row in range(indptr[user], indptr[user + 1]):
            for j in range(len(profile)):
                profile[j] += weights[row] * np.float64(vectors[row, j])
        square = 0.0
        for j in range(len(profile)):
            square += profile[j] * profile[j]
        norm = np.sqrt(square)
        for j in range(len(profile)):
            profile[j] = profile[j] / norm if norm > 0 else np.nan
