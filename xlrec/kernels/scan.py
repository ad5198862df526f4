"""Compiled loops of the exact top-k: who may get what, the threshold scan, and the exact order of what it kept."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.csr import indptr_of
from xlrec.kernels.lanes import LANES, lowest_bit, reaching, value_at


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
def allowed_rows(mask, users, nums):  # type: ignore[no-untyped-def]
    """(n,) bool: whether users[j] may get nums[j]."""
    found = np.empty(len(nums), np.bool_)
    for j in range(len(nums)):
        found[j] = allowed(mask, users[j], nums[j])
    return found


class Buffers(NamedTuple):
    """What each user's top k can be made of, as far as is known; entries are ascending by item_num.

    A score here is the float64 inner product over the query's norm. It lies in [lower, upper], and at `exact` the inner
    product is known where it is not NaN. `floors`: no lower than it is the k-th best score, so what lies below never ranks.
    """

    counts: NDArray[np.int64]  # (n_users,)
    floors: NDArray[np.float32]  # (n_users,)
    nums: NDArray[np.int32]  # (n_users, capacity), as the next three
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    exact: NDArray[np.float64]

    @staticmethod
    def empty(floors: NDArray[np.float32], capacity: int) -> "Buffers":
        """Buffers without entries."""
        shape = (len(floors), capacity)
        kinds = (np.int32, np.float32, np.float32, np.float64)
        return Buffers(np.zeros(len(floors), np.int64), floors, *(np.empty(shape, kind) for kind in kinds))


@njit(cache=True)
def bounds(norms, residuals, eligible, groups, first, smallest, factors, errors):  # type: ignore[no-untyped-def]
    """Fills errors (n_groups, n): how far a column's score may be off; NaN, which reaches no floor, where it is no item.

    `factors` are those of the norm and of the residual, and what is added; see `xlrec.kernels.topk`.
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
    counts, floors, nums, lower, upper, exact = buffers
    n_users, n_columns = product.shape
    capacity = nums.shape[1]
    stuck = False
    for user in range(n_users):
        place = places[user]
        places[user] = n_columns
        scores, error, scale = product[user], errors[rows[user]], scales[user]
        floor, count = floors[user], counts[user]
        while place < n_columns and not (zero[user] and count >= k):
            if place + LANES <= n_columns:
                hits = reaching(scores, columns, error, place, scale, relative, floor)
                width = LANES
            else:
                hits, width = np.uint32(0xFFFFFFFF) >> np.uint32(LANES - (n_columns - place)), n_columns - place
            while hits != 0:
                column = place + lowest_bit(hits)
                score = value_at(scores, column) * columns[column] * scale
                spread = abs(score) * relative + error[column]
                if score + spread >= floor and allowed(mask, user, first + column):
                    if count == capacity:
                        floor, count = _compact(user, count, k, floor, buffers)
                        if count > k + (capacity - k) // 2:
                            places[user] = column
                            stuck = True
                            break
                    nums[user, count] = first + column
                    lower[user, count] = score - spread
                    upper[user, count] = score + spread
                    exact[user, count] = np.nan
                    count += 1
                hits = np.uint32(hits & (hits - np.uint32(1)))
            if hits != 0:
                break
            place += width
        floors[user] = floor
        counts[user] = count
    return stuck


@njit(cache=True)
def _compact(user, count, k, floor, buffers):  # type: ignore[no-untyped-def]
    """Drops what cannot be in the top k any more; the new floor, and the new count."""
    _, _, nums, lower, upper, exact = buffers
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
        if buffers[0][user] > k:
            buffers[1][user], buffers[0][user] = _compact(user, buffers[0][user], k, buffers[1][user], buffers)


@njit(cache=True)
def likely(users, k, buffers, cuts):  # type: ignore[no-untyped-def]
    """Sets cuts[user] to the k-th best lower bound; -inf with fewer entries."""
    for user in users:
        count = buffers[0][user]
        cuts[user] = np.float32(-np.inf)
        if count > k:
            cuts[user] = np.partition(buffers[3][user, :count], count - k)[count - k]


@njit(cache=True)
def rescore(users, cuts, queries, lengths, first, vectors, buffers):  # type: ignore[no-untyped-def]
    """Exact scores of the entries that lie in this shard and whose lower bound is at least the user's cut."""
    counts, _, nums, lower, upper, exact = buffers
    last = first + len(vectors)
    for user in users:
        length = lengths[user] if lengths[user] > 0 else 1.0
        for j in range(np.searchsorted(nums[user, : counts[user]], first), counts[user]):
            if nums[user, j] >= last:
                break
            if np.isnan(exact[user, j]) and lower[user, j] >= cuts[user]:
                exact[user, j] = dot(queries[user], vectors[nums[user, j] - first])
                lower[user, j] = rounded_down(exact[user, j] / length)
                upper[user, j] = -rounded_down(-exact[user, j] / length)


@njit(cache=True)
def rounded_down(value):  # type: ignore[no-untyped-def]
    """The largest float32 that is not above a float64."""
    down = np.float32(value)
    return down if np.float64(down) <= value else np.nextafter(down, np.float32(-np.inf))


@njit(cache=True)
def settle(users, k, buffers):  # type: ignore[no-untyped-def]
    """Cuts buffers whose scores are all exact to the best k so far, and raises the floor to the k-th."""
    counts, floors, nums, lower, upper, exact = buffers
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
    counts, _, nums, _, _, exact = buffers
    for user in range(len(ids)):
        order = np.argsort(-exact[user, : counts[user]], kind="mergesort")
        for j in range(min(len(order), ids.shape[1])):
            ids[user, j] = nums[user, order[j]]
            scores[user, j] = exact[user, order[j]]
