"""Compiled loops of the exact top-k: the threshold scan, and the exact order of what it kept."""

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.simd import LANES, fetch, lowest_bit, reaching, value_at, whole_dot
from xlrec.kernels.search.mask import first_from, shares


@njit(cache=True, inline="always")
def dot(left, right):  # type: ignore[no-untyped-def]  # compiled for any pair of float rows
    """float64 inner product in a fixed order: eight running sums, so that it is fast, joined from first to last."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = len(left) // 8 * 8
    for j in range(0, whole, 8):
        s0 += left[j] * np.float64(right[j])
        s1 += left[j + 1] * np.float64(right[j + 1])
        s2 += left[j + 2] * np.float64(right[j + 2])
        s3 += left[j + 3] * np.float64(right[j + 3])
        s4 += left[j + 4] * np.float64(right[j + 4])
        s5 += left[j + 5] * np.float64(right[j + 5])
        s6 += left[j + 6] * np.float64(right[j + 6])
        s7 += left[j + 7] * np.float64(right[j + 7])
    rest = 0.0
    for j in range(whole, len(left)):
        rest += left[j] * np.float64(right[j])
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + rest


_AHEAD: Final = 3  # vectors asked for before they are read
_NEAR: Final = 64  # items whose vectors lie together


class Buffers(NamedTuple):
    """What each user's top k can be made of, as far as is known; entries are ascending by item_num.

    A score here is the float64 inner product over the query's norm. It lies in [lower, upper], and at `exact` the inner
    product is known where it is not NaN. The k-th best score is at least the floor, so what lies below never ranks.
    """

    counts: NDArray[np.int64]  # (n_users,)
    limits: NDArray[np.int64]  # (n_users,) how many entries are sifted; few at first, so that floors rise early
    floors: NDArray[np.float32]  # (n_users,)
    nums: NDArray[np.int32]  # (n_users, capacity), as the next three
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    exact: NDArray[np.float64]

    @staticmethod
    def empty(floors: NDArray[np.float32], k: int, capacity: int) -> "Buffers":
        """Buffers without entries."""
        shape = (len(floors), capacity)
        kinds = (np.int32, np.float32, np.float32, np.float64)
        limits = np.full(len(floors), min(capacity, 2 * k + 128))
        arrays = (np.empty(shape, kind) for kind in kinds)
        return Buffers(np.zeros(len(floors), np.int64), limits, floors, *arrays)


@njit(cache=True)
def bounds(norms, residuals, eligible, groups, first, smallest, factors, errors):  # type: ignore[no-untyped-def]
    """Fills errors (n_groups, n): how far a column's score may be off; NaN, no hit, where it may not rank.

    `factors` are those of the norm and of the residual, and what is added; see `xlrec.kernels.search.topk`.
    """
    for j in range(errors.shape[1]):
        norm = norms[first + j]
        error = np.float32(factors[0] * norm + factors[1] * residuals[j] + factors[2])
        if not smallest <= norm < np.inf:
            error = np.float32(np.nan)
        for row in range(len(groups)):
            errors[row, j] = error if eligible[groups[row], first + j] else np.float32(np.nan)


@njit(cache=True)
def scan(product, first, scales, relative, columns, errors, rows, zero, k, mask, places, buffers):  # type: ignore[no-untyped-def]
    """Puts what may be in the top k into the users' buffers; True where a buffer is full of near-ties.

    Such a user's `places` is the column to go on from; elsewhere it is the number of columns. `scales` (n_users,) and
    `columns` (n_columns,) scale the product; `errors[rows[user]]` says how far a score may be off; `zero`: all scores
    of the user are equal, so the first k items win.
    """
    counts, limits, floors, nums, lower, upper, exact = buffers
    seen_nums, restricted, user_words, item_words = mask.seen_nums, mask.restricted, mask.user_words, mask.item_words
    n_users, n_columns = product.shape
    capacity = nums.shape[1]
    stuck = False
    for user in range(n_users):
        place = places[user]
        places[user] = n_columns
        scores, error, scale = product[user], errors[rows[user]], scales[user]
        floor, count = floors[user], counts[user]
        seen, seen_end = mask.seen_indptr[user], mask.seen_indptr[user + 1]
        if seen < seen_end:
            seen = first_from(seen_nums, seen, seen_end, first + place)
        while place < n_columns and not (zero[user] and count >= k):
            hits = hit_mask(scores, columns, error, place, scale, relative, floor)
            while hits != 0:
                column = place + lowest_bit(hits)
                num = first + column
                while seen < seen_end and seen_nums[seen] < num:
                    seen += 1
                may = seen == seen_end or seen_nums[seen] != num  # what is not eligible has no error, and no hit
                may = may and (not restricted[user] or shares(user_words[user], item_words[num]))
                score = value_at(scores, column) * columns[column] * scale
                spread = abs(score) * relative + error[column]
                if may and score + spread >= floor:
                    if count == limits[user]:
                        floor, count = compacted(user, count, k, floor, buffers)
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
        floors[user] = floor
        counts[user] = count
    return stuck


@njit(cache=True, inline="always")
def hit_mask(scores, columns, error, place, scale, relative, floor):  # type: ignore[no-untyped-def]
    """Mask of the next columns that are worth a look: all of them where fewer than LANES are left."""
    left = len(scores) - place
    if left < LANES:
        return np.uint32(np.uint32(0xFFFFFFFF) >> np.uint32(LANES - left))
    return reaching(scores, columns, error, place, scale, relative, floor)


@njit(cache=True)
def compacted(user, count, k, floor, buffers):  # type: ignore[no-untyped-def]
    """Drops what cannot be in the top k any more; the new floor, and the new count."""
    _, _, _, nums, lower, upper, exact = buffers
    floor = max(floor, np.partition(lower[user, :count], count - k)[count - k])
    kept = 0
    for j in range(count):  # in place and in order: nums stay ascending
        if upper[user, j] >= floor:
            nums[user, kept] = nums[user, j]
            lower[user, kept] = lower[user, j]
            upper[user, kept] = upper[user, j]
            exact[user, kept] = exact[user, j]
            kept += 1
    return floor, kept


@njit(cache=True)
def tighten(users, k, buffers):  # type: ignore[no-untyped-def]
    """Drops from the users' buffers what cannot be in the top k."""
    for user in users:
        if buffers.counts[user] > k:
            floor, count = compacted(user, buffers.counts[user], k, buffers.floors[user], buffers)
            buffers.floors[user], buffers.counts[user] = floor, count


@njit(cache=True)
def likely(users, k, buffers, cuts):  # type: ignore[no-untyped-def]
    """Sets cuts[user] to the k-th best lower bound; -inf with fewer entries."""
    for user in users:
        count = buffers.counts[user]
        cuts[user] = np.float32(-np.inf)
        if count > k:
            cuts[user] = np.partition(buffers.lower[user, :count], count - k)[count - k]


@njit(cache=True, inline="always")
def quick_dot(left, right):  # type: ignore[no-untyped-def]
    """`dot` of contiguous rows, float64 and float32, bit for bit, by vector instructions."""
    eights = len(left) // 8
    rest = 0.0
    for j in range(8 * eights, len(left)):
        rest += left[j] * np.float64(right[j])
    return whole_dot(left, right, eights) + rest


@njit(cache=True)
def dots(queries, rows, nums, first, vectors, found):  # type: ignore[no-untyped-def]
    """Puts the inner product of queries[rows[j]] and item nums[j] at found[j], where the item lies in this shard."""
    places, n_here = np.empty(len(nums), np.int64), 0
    for j in range(len(nums)):
        places[n_here] = j
        n_here += first <= nums[j] < first + len(vectors)
    for turn in range(n_here + _AHEAD):
        if turn < n_here:
            _fetch_row(vectors[nums[places[turn]] - first])
        if turn >= _AHEAD:
            j = places[turn - _AHEAD]
            found[j] = quick_dot(queries[rows[j]], vectors[nums[j] - first])


@njit(cache=True, inline="always")
def _fetch_row(vector):  # type: ignore[no-untyped-def]
    for place in range(0, len(vector), 16):
        fetch(vector, place)


@njit(cache=True)
def rescore(users, cuts, queries, lengths, first, vectors, buffers):  # type: ignore[no-untyped-def]
    """Exact scores of the entries that lie in this shard and whose lower bound is at least the user's cut."""
    _, _, _, nums, lower, upper, exact = buffers
    rows, slots = _by_item(users, cuts, first, len(vectors), buffers)
    for j in range(len(rows) + _AHEAD):
        if j < len(rows):
            _fetch_row(vectors[nums[rows[j], slots[j]] - first])
        if j >= _AHEAD:
            user, slot = rows[j - _AHEAD], slots[j - _AHEAD]
            score = quick_dot(queries[user], vectors[nums[user, slot] - first])
            length = lengths[user] if lengths[user] > 0 else 1.0
            exact[user, slot] = score
            lower[user, slot] = rounded_down(score / length)
            upper[user, slot] = -rounded_down(-score / length)


@njit(cache=True)
def _by_item(users, cuts, first, n_items, buffers):  # type: ignore[no-untyped-def]
    """(rows, places) of the entries to rescore, those of near items together: memory is read in one direction."""
    counts, _, _, nums, lower, _, exact = buffers
    ends = np.zeros(n_items // _NEAR + 2, np.int64)
    for turn in range(2):
        if turn == 1:
            ends = np.cumsum(ends)
            rows, slots = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.int32)
        for user in users:
            start, end = np.searchsorted(nums[user, : counts[user]], np.array([first, first + n_items]))
            for j in range(start, end):
                if np.isnan(exact[user, j]) and lower[user, j] >= cuts[user]:
                    near = (nums[user, j] - first) // _NEAR
                    if turn == 1:
                        rows[ends[near]], slots[ends[near]] = user, j
                        ends[near] += 1
                    else:
                        ends[near + 1] += 1
    return rows, slots


@njit(cache=True)
def rounded_down(value):  # type: ignore[no-untyped-def]
    """The largest float32 that is not above a float64."""
    down = np.float32(value)
    return down if np.float64(down) <= value else np.nextafter(down, np.float32(-np.inf))


@njit(cache=True)
def settle(users, k, buffers):  # type: ignore[no-untyped-def]
    """Cuts buffers whose scores are all exact to the best k so far, and raises the floor to the k-th."""
    counts, _, floors, nums, lower, upper, exact = buffers
    for user in users:
        order = np.argsort(-exact[user, : counts[user]], kind="mergesort")[:k]
        if len(order) == k:
            floors[user] = max(floors[user], lower[user, order[k - 1]])
        kept = np.sort(order)
        for j in range(len(kept)):
            nums[user, j] = nums[user, kept[j]]
            lower[user, j] = lower[user, kept[j]]
            upper[user, j] = upper[user, kept[j]]
            exact[user, j] = exact[user, kept[j]]
        counts[user] = len(kept)


@njit(cache=True)
def choose(buffers, ids, scores):  # type: ignore[no-untyped-def]
    """The best k of each buffer; equal scores keep the buffers' ascending item_num."""
    counts, _, _, nums, _, _, exact = buffers
    for user in range(len(ids)):
        order = np.argsort(-exact[user, : counts[user]], kind="mergesort")
        for j in range(min(len(order), ids.shape[1])):
            ids[user, j] = nums[user, order[j]]
            scores[user, j] = exact[user, order[j]]
