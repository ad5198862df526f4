"""Allowed items of each user: eligibility, languages and seen items of all sources, for compiled loops."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import entries_of, indptr_of


class Mask(NamedTuple):
    """Allowed items of each user; shared by all sources."""

    eligible: NDArray[np.bool_]  # (n_groups, n_items) items that a group of users, such as a market, may get
    group: NDArray[np.int32]  # (n_users,) row of `eligible`
    seen_indptr: NDArray[np.int64]  # (n_users + 1,) runs of `seen_nums`
    seen_nums: NDArray[np.int32]  # (n,) item_nums that are left out, ascending per user
    item_words: NDArray[np.uint64]  # (n_items, n_words) bits of the languages of each item
    user_words: NDArray[np.uint64]  # (n_users, n_words) bits of the languages that each user reads
    restricted: NDArray[np.bool_]  # (n_users,) users who get only items with a language that they read

    @staticmethod
    def everything(n_users: int, n_items: int) -> "Mask":
        """A mask that allows every item to every user."""
        return Mask(
            np.ones((1, n_items), np.bool_),
            np.zeros(n_users, np.int32),
            np.zeros(n_users + 1, np.int64),
            np.zeros(0, np.int32),
            np.ones((n_items, 1), np.uint64),
            np.zeros((n_users, 1), np.uint64),
            np.zeros(n_users, np.bool_),
        )

    def of_users(self, users: NDArray[np.int64]) -> "Mask":
        """The mask of some users (n,) int64, in their order."""
        indptr, places = entries_of(self.seen_indptr, users)
        return self._replace(
            group=self.group[users],
            seen_indptr=indptr,
            seen_nums=self.seen_nums[places],
            user_words=self.user_words[users],
            restricted=self.restricted[users],
        )

    def among_items(self, nums: NDArray[np.integer[Any]]) -> "Mask":
        """The mask on some items only, (n,) integer `nums`, ascending; they are then named by their place in `nums`."""
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
    """Whether two rows, (n_words,) uint64 each, have a bit in common."""
    shared = False
    for word in range(len(left)):
        shared |= (left[word] & right[word]) != 0
    return shared


@njit(cache=True)
def first_from(nums, low, high, num):  # type: ignore[no-untyped-def]
    """The first place in nums[low:high], ascending, whose number is at least num; high where there is none.

    `nums` are (n,) integer.
    """
    while low < high:
        middle = (low + high) // 2
        if nums[middle] < num:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, inline="always")
def may_read(mask, user, num):  # type: ignore[no-untyped-def]
    """Whether the user reads one of the item's languages, or takes any."""
    return not mask.restricted[user] or shares(mask.user_words[user], mask.item_words[num])


@njit(cache=True)
def may_get(mask, user, num):  # type: ignore[no-untyped-def]
    """Whether the user may get the item: eligible, in a readable language, not seen."""
    if not mask.eligible[mask.group[user], num] or not may_read(mask, user, num):
        return False
    end = mask.seen_indptr[user + 1]
    place = first_from(mask.seen_nums, mask.seen_indptr[user], end, num)
    return place == end or mask.seen_nums[place] != num
