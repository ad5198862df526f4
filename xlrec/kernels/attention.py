"""Attention over a user's visits: how much each item of the history counts in a learnt query.

A visit is a run of events with one item. Its logit is the sum of what its place, its age and its strength are worth and
of the item's own gate; a softmax over the newest visits makes weights. All of it is linear in the items' vectors, so
the terms of a score are exact.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.csr import indptr_of, owners_of
from xlrec.kernels.profiles import Histories

#: Buckets of places, ages, and lengths of histories.
N_PLACES: Final = 16
N_AGES: Final = 14
N_LENGTHS: Final = 10
_HOUR: Final = 3.6e9  # microseconds


class Visits(NamedTuple):
    """CSR over users, oldest first, ties by item_num: one entry per run of events with one item."""

    indptr: NDArray[np.int64]
    nums: NDArray[np.int32]
    micros: NDArray[np.int64]
    """Of the run's first event."""
    weights: NDArray[np.float64]
    """Sum of the run's event weights."""

    @property
    def owners(self) -> NDArray[np.int64]:
        """(n_visits,) row of the user of each visit."""
        return owners_of(self.indptr)

    def of(self, users: NDArray[np.integer[Any]]) -> "Visits":
        """The visits of some users, in their order."""
        sizes = self.indptr[users + 1] - self.indptr[users]
        indptr = indptr_of(sizes)
        rows = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - self.indptr[users], sizes)
        return Visits(indptr, self.nums[rows], self.micros[rows], self.weights[rows])

    def where(self, kept: NDArray[np.bool_]) -> "Visits":
        """Some visits; all users keep their rows."""
        sizes = np.bincount(self.owners[kept], minlength=len(self.indptr) - 1)
        return Visits(indptr_of(sizes), self.nums[kept], self.micros[kept], self.weights[kept])


class Attention(NamedTuple):
    """Learnt tables of the logits."""

    places: NDArray[np.float64]
    """(N_PLACES,) by place from the newest visit."""
    ages: NDArray[np.float64]
    """(N_AGES,) by time before the newest visit."""
    weight: float
    """Times the logarithm of a visit's weight."""
    lengths: NDArray[np.float64]
    """(N_LENGTHS,) logarithm of the query's scale by the number of visits that count."""
    scale: float
    """Of every query."""
    max_history: int
    """Newest visits that count."""


def visits(
    indptr: NDArray[np.int64], micros: NDArray[np.int64], nums: NDArray[np.int32], weights: NDArray[np.float64]
) -> Visits:
    """Each user's events as visits; events of weight 0 are left out.

    Args:
        indptr: (n_users + 1,) rows of each user in the next three.
        micros: Event times in microseconds, in any order.
        nums: item_num of each event.
        weights: At least 0.
    """
    users = owners_of(indptr)
    kept = np.flatnonzero(weights > 0)
    order = kept[np.lexsort((weights[kept], nums[kept], micros[kept], users[kept]))]
    users, nums, micros, weights = users[order], nums[order], micros[order], weights[order]
    starts = np.ones(len(order), dtype=np.bool_)
    starts[1:] = (users[1:] != users[:-1]) | (nums[1:] != nums[:-1])
    first = np.flatnonzero(starts)
    total = np.add.reduceat(weights, first) if len(first) else np.zeros(0)
    ends = np.searchsorted(users[first], np.arange(len(indptr)))
    return Visits(ends.astype(np.int64), nums[first].astype(np.int32), micros[first], total)


def place_buckets(n: int) -> NDArray[np.int64]:
    """(n,) bucket of the places 0, 1, …: each of the first eight alone, then wider ones."""
    places = np.arange(n)
    wider = 8 + np.floor(2 * np.log2(np.maximum(places, 8) / 8))
    return np.minimum(np.where(places < 8, places, wider), N_PLACES - 1).astype(np.int64)


def age_buckets(micros: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bucket of ages in microseconds, at least 0: the logarithm of the hours."""
    found: NDArray[np.int64] = np.minimum(np.floor(np.log2(1 + micros / _HOUR)), N_AGES - 1).astype(np.int64)
    return found


def length_buckets(n_visits: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Bucket of numbers of visits: their logarithm; 0 for none."""
    found: NDArray[np.int64] = np.minimum(np.floor(np.log2(np.maximum(n_visits, 1))), N_LENGTHS - 1).astype(np.int64)
    return found


def attend(log: Visits, history: Histories, gates: NDArray[np.float64], attention: Attention) -> NDArray[np.float64]:
    """(len(history.nums),) weight of each history item: the sum over its visits; sums to 1 for who has a history.

    Args:
        log: Of `visits`.
        history: Of `profiles.histories` on the same events; an item that it does not hold (max_history) has no weight.
        gates: (n_items,) logit of each item.
        attention: Learnt tables.
    """
    places = attention.places[place_buckets(attention.max_history)]
    newest = np.repeat(log.indptr[1:] - 1, np.diff(log.indptr))
    ages = np.maximum(log.micros[newest] - log.micros, 0)
    logits = attention.ages[age_buckets(ages)] + attention.weight * np.log(log.weights) + gates[log.nums]
    return np.asarray(_attend(log.indptr, log.nums, logits, places, history.indptr, history.nums))


@njit(cache=True)
def _attend(indptr: Any, nums: Any, logits: Any, places: Any, held: Any, held_nums: Any) -> Any:
    found = np.zeros(len(held_nums))
    for user in range(len(indptr) - 1):
        n = min(len(places), indptr[user + 1] - indptr[user])
        last = indptr[user + 1] - 1
        top = -np.inf
        for place in range(n):
            top = max(top, logits[last - place] + places[place])
        total = 0.0
        for place in range(n):
            weight = np.exp(logits[last - place] + places[place] - top)
            for at in range(held[user], held[user + 1]):
                if held_nums[at] == nums[last - place]:
                    found[at] += weight
                    total += weight
                    break
        for at in range(held[user], held[user + 1]):
            if total > 0.0:
                found[at] /= total
    return found


def queries(
    history: Histories, weights: NDArray[np.float64], vectors: NDArray[np.float32], scales: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n_users, dim) float64: each user's weighted sum of history vectors, in order, times the user's scale.

    Args:
        history: CSR of history items.
        weights: (n_history,) of `attend`.
        vectors: (n_history, dim) float32, one row per history item.
        scales: (n_users,).
    """
    found = np.zeros((len(scales), vectors.shape[1]))
    _add_up(history.indptr, weights, vectors, scales, found)
    return found


@njit(cache=True)
def _add_up(indptr: Any, weights: Any, vectors: Any, scales: Any, found: Any) -> None:
    for user in range(len(found)):
        row = found[user]
        for at in range(indptr[user], indptr[user + 1]):
            for j in range(len(row)):
                row[j] += weights[at] * np.float64(vectors[at, j])
        for j in range(len(row)):
            row[j] *= scales[user]
