"""Compiled loops of the exact top-k: who may get what, the threshold scan, and the exact order of what it kept."""

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.csr import indptr_of

_CHUNK: Final = 32  # scores compared at once before any is looked at


class Mask(NamedTuple):
    """Which items a user may get; shared by all sources.

    `eligible` (n_groups, n_items) bool and `group` (n_users,) int32, its row for each user; `seen_indptr`
    (n_users + 1,) int64 and `seen_nums` int32, ascending per user: items left out; `restricted` (n_users,) bool: only
    items that have a bit of `item_words` (n_items, n_words) in common with `user_words` (n_users, n_words), uint64.
    """

    eligible: NDArray[np.bool_]
    group: NDArray[np.int32]
    seen_indptr: NDArray[np.int64]
    seen_nums: NDArray[np.int32]
    item_words: NDArray[np.uint64]
    user_words: NDArray[np.uint64]
    restricted: NDArray[np.bool_]

    def of(self, users: NDArray[np.int64]) -> "Mask":
        """The mask of some users, in their order."""
        sizes = np.diff(self.seen_indptr)[users]
        indptr = indptr_of(sizes)
        places = np.repeat(self.seen_indptr[users] - indptr[:-1], sizes) + np.arange(indptr[-1])
        return self._replace(
            group=self.group[users],
            seen_indptr=indptr,
            seen_nums=self.seen_nums[places],
            user_words=self.user_words[users],
            restricted=self.restricted[users],
        )


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


@njit(cache=True)
def dots(queries, rows, nums, first, vectors, places, low, high, found):  # type: ignore[no-untyped-def]
    """Puts the inner product of queries[rows[j]] and item nums[j], which lies in this shard, at found[places[j]]."""
    for j in range(low, high):
        found[places[j]] = dot(queries[rows[j]], vectors[nums[j] - first])


@njit(cache=True)
def allowed(mask, user, num):  # type: ignore[no-untyped-def]
    """Whether the user may get the item: eligible, in a readable language, not seen."""
    if not mask.eligible[mask.group[user], num]:
        return False
    if mask.restricted[user]:
        shared = False
        for word in range(mask.user_words.shape[1]):
            shared |= (mask.user_words[user, word] & mask.item_words[num, word]) != 0
        if not shared:
            return False
    low, high = mask.seen_indptr[user], mask.seen_indptr[user + 1]
    end = high
    while low < high:
        middle = (low + high) // 2
        if mask.seen_nums[middle] < num:
            low = middle + 1
        else:
            high = middle
    return low == end or mask.seen_nums[low] != num


@njit(cache=True)
def scan(product, first, norms, smallest, slack, k, lengths, mask, places, counts, nums, rough, floors):  # type: ignore[no-untyped-def]
    """Puts what may be in the top k into the users' buffers; True where a buffer is full of near-ties.

    Such a user's `places` is the column to go on from; elsewhere it is the number of columns.
    """
    n_users, n_columns = product.shape
    capacity = nums.shape[1]
    stuck = False
    for user in range(n_users):
        place = places[user]
        places[user] = n_columns
        scores = product[user]
        floor = floors[user]
        count = counts[user]
        zero = lengths[user] == 0.0  # all scores are equal: the first k items win
        while place < n_columns and not (zero and count >= k):
            end = min(place + _CHUNK, n_columns)
            if end - place == _CHUNK and not _any_reaches(scores[place:end], floor):
                place = end
                continue
            while place < end:
                num = first + place
                score = scores[place]
                if score >= floor and smallest <= norms[num] < np.inf and allowed(mask, user, num):
                    if count == capacity:
                        floor, count = _compact(nums[user], rough[user], count, k, slack, floor)
                        if count > k + (capacity - k) // 2:
                            break
                        if score < floor:
                            place += 1
                            continue
                    nums[user, count] = num
                    rough[user, count] = score
                    count += 1
                place += 1
            if place < end:
                places[user] = place
                stuck = True
                break
        floors[user] = floor
        counts[user] = count
    return stuck


@njit(cache=True, inline="always")
def _any_reaches(chunk, floor):  # type: ignore[no-untyped-def]
    """Whether one of _CHUNK scores is at least the floor; NaN never is. Written so that it compiles to vector code."""
    reaching = np.int32(0)
    for j in range(_CHUNK):
        reaching += np.int32(1) if chunk[j] >= floor else np.int32(0)
    return reaching > 0


@njit(cache=True)
def _compact(nums, rough, count, k, slack, floor):  # type: ignore[no-untyped-def]
    """Drops what cannot be in the top k any more; returns the new floor, rounded down, and the new count."""
    best = np.float64(np.partition(rough[:count], count - k)[count - k]) - slack
    down = np.float32(best)
    if np.float64(down) > best:
        down = np.nextafter(down, np.float32(-np.inf))
    floor = max(floor, down)
    kept = 0
    for j in range(count):  # in place and in order: nums stay ascending
        if rough[j] >= floor:
            nums[kept] = nums[j]
            rough[kept] = rough[j]
            kept += 1
    return floor, kept


@njit(cache=True)
def tighten(slack, k, counts, nums, rough, floors):  # type: ignore[no-untyped-def]
    """Drops from all buffers what cannot be in the top k."""
    for user in range(len(counts)):
        if counts[user] > k:
            floors[user], counts[user] = _compact(nums[user], rough[user], counts[user], k, slack, floors[user])


@njit(cache=True)
def settle(users, exact, lengths, error, k, counts, nums, rough, floors):  # type: ignore[no-untyped-def]
    """Cuts full buffers to the exact best k so far, and raises the floor to the k-th exact score less the error."""
    for row in range(len(users)):
        user = users[row]
        count = counts[user]
        order = np.argsort(-exact[row, :count], kind="mergesort")[:k]
        bound = exact[row, order[k - 1]] / lengths[user] - error
        down = np.float32(bound)
        if np.float64(down) > bound:
            down = np.nextafter(down, np.float32(-np.inf))
        floors[user] = max(floors[user], down)
        kept = np.sort(order)
        for j in range(k):
            nums[user, j] = nums[user, kept[j]]
            rough[user, j] = rough[user, kept[j]]
        counts[user] = k


@njit(cache=True)
def choose(exact, counts, nums, ids, scores):  # type: ignore[no-untyped-def]
    """The best k of each buffer; equal scores keep the buffers' ascending item_num."""
    for user in range(len(ids)):
        order = np.argsort(-exact[user, : counts[user]], kind="mergesort")
        for j in range(min(len(order), ids.shape[1])):
            ids[user, j] = nums[user, order[j]]
            scores[user, j] = exact[user, order[j]]
