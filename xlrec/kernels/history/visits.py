"""Visits: runs of a user's successive events with one item."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.csr import entries_of, indptr_of, owners_of, run_starts


class Visits(NamedTuple):
    """CSR over users, oldest first, ties by item_num: one entry per run of events with one item."""

    indptr: NDArray[np.int64]  # (n_users + 1,)
    nums: NDArray[np.int32]  # (n_visits,) item_nums
    micros: NDArray[np.int64]
    """(n_visits,) int64 microseconds of the run's first event."""
    weights: NDArray[np.float64]
    """(n_visits,) float64 sum of the run's event weights."""

    @property
    def owners(self) -> NDArray[np.int64]:
        """(n_visits,) int64 row of the user of each visit."""
        return owners_of(self.indptr)

    def of_users(self, users: NDArray[np.integer[Any]]) -> "Visits":
        """Visits of some users, (n,) integer rows, in their order."""
        indptr, rows = entries_of(self.indptr, users)
        return Visits(indptr, self.nums[rows], self.micros[rows], self.weights[rows])

    def keep_visits(self, kept: NDArray[np.bool_]) -> "Visits":
        """Visits that a (n_visits,) bool mask keeps; all users keep their rows."""
        sizes = np.bincount(self.owners[kept], minlength=len(self.indptr) - 1)
        return Visits(indptr_of(sizes), self.nums[kept], self.micros[kept], self.weights[kept])


def visits_from_events(
    indptr: NDArray[np.int64], micros: NDArray[np.int64], nums: NDArray[np.int32], weights: NDArray[np.float64]
) -> Visits:
    """Visits of all users; events of weight 0 are left out.

    Args:
        indptr: (n_users + 1,) int64 bounds of each user's events.
        micros: (n_events,) int64 microseconds, in any order within a user.
        nums: (n_events,) int32 item_nums.
        weights: (n_events,) float64, at least 0.
    """
    users = owners_of(indptr)
    kept = np.flatnonzero(weights > 0)
    order = kept[np.lexsort((weights[kept], nums[kept], micros[kept], users[kept]))]
    users, nums, micros, weights = users[order], nums[order], micros[order], weights[order]
    first = np.flatnonzero(run_starts(users, nums))
    total = np.add.reduceat(weights, first) if len(first) else np.zeros(0)
    ends = np.searchsorted(users[first], np.arange(len(indptr)))
    return Visits(ends.astype(np.int64), nums[first].astype(np.int32), micros[first], total)
