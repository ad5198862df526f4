"""Who may get what: eligibility, languages and seen items of all sources, for compiled loops."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import entries_of, indptr_of


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
        indptr, places = entries_of(self.seen_indptr, users)
        return self._replace(
            group=self.group[users],
            seen_indptr=indptr,
            seen_nums=self.seen_nums[places],
            user_words=self.user_words[users],
            restricted=self.restricted[users],
        )

    def among(self, nums: NDArray[np.integer[Any]]) -> "Mask":
        """The mask on some items only, ascending, by their place in `nums`."""
        places = np.minimum(np.searchsorted(nums, self.seen_nums), max(len(nums) - 1, 0))
        hit: NDArray[np.bool_] = nums[places] == self.seen_nums if len(nums) else np.zeros(len(places), dtype=np.bool_)
        return self._replace(
            eligible=self.eligible[:, nums],
            seen_indptr=indptr_of(hit.astype(np.int64))[self.seen_indptr],
            seen_nums=places[hit].astype(np.int32),
            item_words=self.item_words[nums],
        )


@njit(cache=True, inline="always")
def shares(left, right):  # type: ignore[no-untyped-def]
    """Whether two rows of words have a bit in common."""
    shared = False
    for word in range(len(left)):
        shared |= (left[word] & right[word]) != 0
    return shared


@njit(cache=True)
def first_from(nums, low, high, num):  # type: ignore[no-untyped-def]
    """The first place in nums[low:high], ascending, whose number is at least num; high where there is none."""
    while low < high:
        middle = (low + high) // 2
        if nums[middle] < num:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, inline="always")
def readable(mask, user, num):  # type: ignore[no-untyped-def]
    """Whether the user reads one of the item's languages, or takes any."""
    return not mask.restricted[user] or shares(mask.user_words[user], mask.item_words[num])


@njit(cache=True)
def allowed(mask, user, num):  # type: ignore[no-untyped-def]
    """Whether the user may get the item: eligible, in a readable language, not seen."""
    if not mask.eligible[mask.group[user], num] or not readable(mask, user, num):
        return False
    end = mask.seen_indptr[user + 1]
    place = first_from(mask.seen_nums, mask.seen_indptr[user], end, num)
    return place == end or mask.seen_nums[place] != num
