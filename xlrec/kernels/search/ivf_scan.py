"""The compiled loop of the approximate search: what of some lists may be among the best of those who look at them."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.simd import LANES, lowest_bit
from xlrec.kernels.search.mask import allowed
from xlrec.kernels.search.scan import compacted, hit_mask


class Visits(NamedTuple):
    """Which users look at which lists."""

    places: NDArray[np.int64]  # (n_visited,) lists, ascending
    starts: NDArray[np.int64]  # (n_visited + 1,) where each list's users begin
    users: NDArray[np.int64]  # (n,) rows in mask and buffers


@njit(cache=True)
def sift(scores, visits, high, indptr, nums, errors, ones, mask, k, at, buffers):  # type: ignore[no-untyped-def]
    """Puts what may be in the users' top k into their buffers; False where one is full: go on with more room.

    Args:
        scores: float32 scores over the query's norm: of each visit from at[0] to high - 1 its users × its items.
        visits: `Visits`.
        high: End of the visits.
        indptr: (n_lists + 1,) positions where lists begin.
        nums: (n,) item_nums by position.
        errors: (n,) float32 by position: how far a score may be off.
        ones: 1, as many as the longest list has items.
        mask: What each user may get.
        k: At least 1.
        at: (4,) int64 where to go on: visit, row of its users, column, place in scores.
        buffers: `Buffers`, whose entries may be in any order here.
    """
    for visit in range(at[0], high):
        start, end = indptr[visits.places[visit]], indptr[visits.places[visit] + 1]
        those, spreads = nums[start:end], errors[start:end]
        first, n_users = visits.starts[visit], visits.starts[visit + 1] - visits.starts[visit]
        for row in range(at[1], n_users):
            here = scores[at[3] : at[3] + len(those)]
            at[2] = _sift_row(here, visits.users[first + row], those, spreads, ones, mask, k, at[2], buffers)
            if at[2] < len(those):
                at[0], at[1] = visit, row
                return False
            at[2] = 0
            at[3] += len(those)
        at[1] = 0
    return True


@njit(cache=True)
def _sift_row(scores, user, nums, errors, ones, mask, k, place, buffers):  # type: ignore[no-untyped-def]
    """The column to go on from: that where the user's buffer is full, else at least the number of columns."""
    counts, _, floors, found, lower, upper, exact = buffers
    capacity, floor, count = found.shape[1], floors[user], counts[user]
    while place < len(nums):
        hits = hit_mask(scores, ones, errors, place, np.float32(1), np.float32(0), floor)
        while hits != 0:
            column = place + lowest_bit(hits)
            score, spread = scores[column], errors[column]
            if score + spread >= floor and allowed(mask, user, nums[column]):
                if count == capacity:
                    floor, count = compacted(user, count, k, floor, buffers)
                    if count == capacity:
                        floors[user], counts[user] = floor, count
                        return column
                found[user, count] = nums[column]
                lower[user, count] = score - spread
                upper[user, count] = score + spread
                exact[user, count] = np.nan
                count += 1
            hits = np.uint32(hits & (hits - np.uint32(1)))
        place += LANES
    floors[user], counts[user] = floor, count
    return place
