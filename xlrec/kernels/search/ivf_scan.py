"""The compiled loop of the approximate search: items of probed lists that may be among their users' best."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.simd import LANES, lowest_bit
from xlrec.kernels.search.mask import may_get
from xlrec.kernels.search.scan import compact_buffer, hit_mask


class Probed(NamedTuple):
    """Lists that are scanned, and their users."""

    lists: NDArray[np.int64]  # (n_probed,) lists, ascending
    starts: NDArray[np.int64]  # (n_probed + 1,) first of each list's users
    users: NDArray[np.int64]  # (n,) rows in mask and buffers


@njit(cache=True)
def ivf_scan(scores, probed, high, indptr, nums, errors, ones, mask, k, at, buffers):  # type: ignore[no-untyped-def]
    """Puts items that may be in the users' top k into their buffers; False where one is full: go on with more room.

    Entries of the buffers may be in any order here. n items have a list.

    Args:
        scores: (n_scores,) float32 over the query's norm: of each list from at[0] to high - 1 its users × its items.
        probed: lists that are scanned, and their users.
        high: the probed list to stop before.
        indptr: (n_lists + 1,) int64 first position of each list.
        nums: (n,) int32 item_num at each position.
        errors: (n,) float32 bounds of the scores' errors by position.
        ones: (n_longest,) float32 ones, as many as the longest list has items.
        mask: allowed items of each user.
        k: items of a list of results.
        at: (4,) int64 where to go on, written to: probed list, row of its users, column, place in scores.
        buffers: of all users, written to.
    """
    for place in range(at[0], high):
        start, end = indptr[probed.lists[place]], indptr[probed.lists[place] + 1]
        list_nums, list_errors = nums[start:end], errors[start:end]
        first, n_users = probed.starts[place], probed.starts[place + 1] - probed.starts[place]
        for row in range(at[1], n_users):
            row_scores = scores[at[3] : at[3] + len(list_nums)]
            user = probed.users[first + row]
            at[2] = _scan_row(row_scores, user, list_nums, list_errors, ones, mask, k, at[2], buffers)
            if at[2] < len(list_nums):
                at[0], at[1] = place, row
                return False
            at[2] = 0
            at[3] += len(list_nums)
        at[1] = 0
    return True


@njit(cache=True)
def _scan_row(scores, user, nums, errors, ones, mask, k, place, buffers):  # type: ignore[no-untyped-def]
    """The column to go on from: that where the user's buffer is full, else at least the number of columns."""
    counts, _, thresholds, kept_nums, lower, upper, exact = buffers
    capacity, threshold, count = kept_nums.shape[1], thresholds[user], counts[user]
    while place < len(nums):
        hits = hit_mask(scores, ones, errors, place, np.float32(1), np.float32(0), threshold)
        while hits != 0:
            column = place + lowest_bit(hits)
            score, error = scores[column], errors[column]
            if score + error >= threshold and may_get(mask, user, nums[column]):
                if count == capacity:
                    threshold, count = compact_buffer(user, count, k, threshold, buffers)
                    if count == capacity:
                        thresholds[user], counts[user] = threshold, count
                        return column
                kept_nums[user, count] = nums[column]
                lower[user, count] = score - error
                upper[user, count] = score + error
                exact[user, count] = np.nan
                count += 1
            hits = np.uint32(hits & (hits - np.uint32(1)))
        place += LANES
    thresholds[user], counts[user] = threshold, count
    return place
