"""The compiled loop of the approximate search: what of one list may be among the best of those who look at it."""

import numpy as np
from numba import njit

from xlrec.kernels.lanes import LANES, lowest_bit
from xlrec.kernels.mask import allowed
from xlrec.kernels.scan import compacted, hit_mask


@njit(cache=True)
def sift(product, users, nums, errors, ones, mask, k, row, place, buffers):  # type: ignore[no-untyped-def]
    """Puts what may be in the users' top k into their buffers; (row, column) to go on from: a buffer is full.

    Args:
        product: (n, n_items) float32 scores of the users who look at the list, over the query's norm.
        users: (n,) their rows in mask and buffers.
        nums: (n_items,) item_nums of the list.
        errors: (n_items,) float32: how far a score may be off.
        ones: 1, as many as the list has items at least.
        mask: What each user may get.
        k: At least 1.
        row: To begin with.
        place: Column of that row to begin with.
        buffers: `Buffers`, whose entries may be in any order here.

    Returns:
        (n, 0) when the list is done.
    """
    counts, _, floors, found, lower, upper, exact = buffers
    capacity = found.shape[1]
    while row < len(users):
        user, scores = users[row], product[row]
        floor, count = floors[user], counts[user]
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
                            return row, column
                    found[user, count] = nums[column]
                    lower[user, count] = score - spread
                    upper[user, count] = score + spread
                    exact[user, count] = np.nan
                    count += 1
                hits = np.uint32(hits & (hits - np.uint32(1)))
            place += LANES
        floors[user], counts[user] = floor, count
        row, place = row + 1, 0
    return row, place
