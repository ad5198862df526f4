"""Compiled loops of the exact top-k: buffers of the items that may rank, and the threshold scan that fills them."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.simd import LANES, lowest_bit, threshold_mask, value_at
from xlrec.kernels.search.mask import first_from, shares


class Buffers(NamedTuple):
    """Candidates of each user's top k so far; entries are ascending by item_num.

    A score here is the float64 inner product over the query's norm. The k-th best score is at least the threshold, so
    that an item whose upper bound lies below never ranks.
    """

    counts: NDArray[np.int64]  # (n_users,) entries
    limits: NDArray[np.int64]
    """(n_users,) entries at which a buffer is compacted; few at first, so that thresholds rise early."""
    thresholds: NDArray[np.float32]  # (n_users,) lower bounds of the k-th best score
    nums: NDArray[np.int32]  # (n_users, capacity) item_nums
    lower: NDArray[np.float32]  # (n_users, capacity) lower bounds of the scores
    upper: NDArray[np.float32]  # (n_users, capacity) upper bounds of the scores
    exact: NDArray[np.float64]  # (n_users, capacity) inner products; NaN where only the bounds are known

    @staticmethod
    def empty(thresholds: NDArray[np.float32], k: int, capacity: int) -> "Buffers":
        """Buffers without entries, of `capacity` at most a user; `thresholds` (n_users,) float32 are written to."""
        shape = (len(thresholds), capacity)
        kinds = (np.int32, np.float32, np.float32, np.float64)
        limits = np.full(len(thresholds), min(capacity, 2 * k + 128))
        arrays = (np.empty(shape, kind) for kind in kinds)
        return Buffers(np.zeros(len(thresholds), np.int64), limits, thresholds, *arrays)


@njit(cache=True)
def error_bounds(norms, residuals, eligible, groups, first, smallest, factors, errors):  # type: ignore[no-untyped-def]
    """Writes the error bounds of a tile's scores into `errors`; NaN where an item may not rank.

    Args:
        norms: (n_items,) float64 norms of all items.
        residuals: (n,) float64 distances of the tile's vectors from their roundings.
        eligible: (n_all_groups, n_items) bool of the mask.
        groups: (n_groups,) int32 rows of `eligible`.
        first: the first item of the tile.
        smallest: items of a smaller norm may not rank.
        factors: those of the norm, of the residual, and the added term; see `xlrec.kernels.search.topk`.
        errors: (n_groups, n) float32, written to.
    """
    for j in range(errors.shape[1]):
        norm = norms[first + j]
        error = np.float32(factors[0] * norm + factors[1] * residuals[j] + factors[2])
        if not smallest <= norm < np.inf:
            error = np.float32(np.nan)
        for row in range(len(groups)):
            errors[row, j] = error if eligible[groups[row], first + j] else np.float32(np.nan)


@njit(cache=True)
def scan_tile(product, first, scales, relative, columns, errors, rows, zero, k, mask, places, buffers):  # type: ignore[no-untyped-def]
    """Puts items that may be in the top k into the users' buffers; True where a buffer is full of near-ties.

    `product` (n_users, n_columns) holds raw scores from item `first` on, as the path makes them. `scales` (n_users,)
    and `columns` (n_columns,), float32, scale them; `relative` is their relative error. `errors` (n_groups, n_columns)
    float32 are those of `error_bounds`, by `rows` (n_users,). Where `zero` (n_users,) bool is set all scores are equal:
    the first k items win. `places` (n_users,) int64 are the columns to begin at, and then to go on at.
    """
    counts, limits, thresholds, nums, lower, upper, exact = buffers
    seen_nums, restricted, user_words, item_words = mask.seen_nums, mask.restricted, mask.user_words, mask.item_words
    (n_users, n_columns), capacity, stuck = product.shape, nums.shape[1], False
    for user in range(n_users):
        place = places[user]
        places[user] = n_columns
        scores, error, scale = product[user], errors[rows[user]], scales[user]
        threshold, count = thresholds[user], counts[user]
        seen, seen_end = mask.seen_indptr[user], mask.seen_indptr[user + 1]
        if seen < seen_end:
            seen = first_from(seen_nums, seen, seen_end, first + place)
        while place < n_columns and not (zero[user] and count >= k):
            hits = hit_mask(scores, columns, error, place, scale, relative, threshold)
            while hits != 0:
                column = place + lowest_bit(hits)
                num = first + column
                while seen < seen_end and seen_nums[seen] < num:
                    seen += 1
                may = seen == seen_end or seen_nums[seen] != num  # an item that is not eligible has no hit
                may = may and (not restricted[user] or shares(user_words[user], item_words[num]))
                score = value_at(scores, column) * columns[column] * scale
                spread = abs(score) * relative + error[column]
                if may and score + spread >= threshold:
                    if count == limits[user]:
                        threshold, count = compact_buffer(user, count, k, threshold, buffers)
                        limits[user] = min(capacity, 2 * count + 64)
                        if count > k + (capacity - k) // 2:
                            places[user] = column
                            stuck = True
                            break
                    nums[user, count] = num
                    lower[user, count] = score - spread
                    upper[user, count] = score + spread
                    exact[user, count] = np.nan
                    count += 1
                hits = np.uint32(hits & (hits - np.uint32(1)))
            if hits != 0:
                break
            place += LANES
        thresholds[user] = threshold
        counts[user] = count
    return stuck


@njit(cache=True, inline="always")
def hit_mask(scores, columns, error, place, scale, relative, threshold):  # type: ignore[no-untyped-def]
    """Bits of the next LANES columns whose upper bound reaches the threshold; all of them near the end of a row.

    Raw scores of a row are (n,) float32, uint16 or int32. `columns` are their factors, (n,) float32 or longer, and
    `error` (n,) float32.
    """
    left = len(scores) - place
    if left < LANES:
        return np.uint32(np.uint32(0xFFFFFFFF) >> np.uint32(LANES - left))
    return threshold_mask(scores, columns, error, place, scale, relative, threshold)


@njit(cache=True)
def compact_buffer(user, count, k, threshold, buffers):  # type: ignore[no-untyped-def]
    """Drops a user's entries that cannot be in the top k any more; the new threshold, and the new count."""
    _, _, _, nums, lower, upper, exact = buffers
    threshold = max(threshold, np.partition(lower[user, :count], count - k)[count - k])
    kept = 0
    for j in range(count):  # in place and in order: nums stay ascending
        if upper[user, j] >= threshold:
            nums[user, kept] = nums[user, j]
            lower[user, kept] = lower[user, j]
            upper[user, kept] = upper[user, j]
            exact[user, kept] = exact[user, j]
            kept += 1
    return threshold, kept


@njit(cache=True)
def tighten_buffers(users, k, buffers):  # type: ignore[no-untyped-def]
    """Drops the users' entries that cannot be in the top k; `users` are (n,) int64 rows of the buffers."""
    for user in users:
        if buffers.counts[user] > k:
            threshold, count = compact_buffer(user, buffers.counts[user], k, buffers.thresholds[user], buffers)
            buffers.thresholds[user], buffers.counts[user] = threshold, count
