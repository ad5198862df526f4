"""The greedy of `xlrec.kernels.ranking.selection` for some users at once, with the copies that fall out before it."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.base.sums import sums_of
from xlrec.kernels.ranking.diversity import HEAD, least_products, roundoff, walk
from xlrec.kernels.ranking.selection import Caps, empty_counts, select_into

_Bounds = NDArray[np.int64]


class Mixes(NamedTuple):
    """Languages that users want: of each a `selection.Mix` without the items."""

    indptr: _Bounds
    """(n_users + 1,) of `target`."""
    target: NDArray[np.float64]
    """Wanted share of each of a user's languages, then 0 for any other."""
    weights: NDArray[np.float64]
    """(n_users,) 0..1; 0 where nobody knows what the user reads."""

    @staticmethod
    def of(shares: NDArray[np.float64], indptr: _Bounds, weight: float) -> "Mixes":
        """The mixes of users whose languages have these shares, of any sum.

        Args:
            shares: (n,) float64, each user's in a row.
            indptr: (n_users + 1,) int64.
            weight: 0..1 of the mix against score and diversity.
        """
        owners, totals = owners_of(indptr), sums_of(shares, indptr)
        known = (totals > 0) & (totals < np.inf)
        target = np.zeros(len(shares) + len(totals))
        told = known[owners]
        target[(np.arange(len(shares)) + owners)[told]] = shares[told] / totals[owners[told]]
        return Mixes(indptr_of(np.diff(indptr) + 1), target, np.where(known & (weight > 0), weight, 0.0))

    def part(self, users: slice) -> "Mixes":
        """Those of some users."""
        first, last = self.indptr[users.start], self.indptr[users.stop]
        return Mixes(self.indptr[users.start : users.stop + 1] - first, self.target[first:last], self.weights[users])


class Shortlists(NamedTuple):
    """Best candidates of some users, one user's after another's."""

    indptr: _Bounds
    """(n_users + 1,) of the next three."""
    relevance: NDArray[np.float64]
    """(n,) as of `select`."""
    vectors: NDArray[np.float32]
    """(n, dim)."""
    groups: _Bounds
    """(n,) language of each, a row of the user's target."""
    enough: _Bounds
    """(n_users,) items that must be no copies; else there is no list."""


def choose(
    k: int, lists: Shortlists, mixes: Mixes, caps: Caps, diversity: float, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`select` for each user, from the candidates that `diversity.copies_of` leaves.

    Args:
        k: Most items of a user.
        lists: Candidates.
        mixes: Languages.
        caps: Categories of all candidates.
        diversity: As of `select`.
        threshold: As of `copies_of`.

    Returns:
        (n_users, k) places among the user's candidates, in list order; and (n_users,) how many there are, -1 where
        fewer than `enough` are no copies.
    """
    n_users = len(lists.enough)
    taken, sizes = np.empty((n_users, k), dtype=np.int64), np.zeros(n_users, dtype=np.int64)
    margin = roundoff(lists.vectors.shape[1])
    _choose(*lists, _heads(lists), *mixes, *caps, diversity, threshold, margin, taken, sizes)
    return taken, sizes


def _heads(lists: Shortlists) -> NDArray[np.float32]:
    """(n_users, 128, 128) `diversity.products` of each user's candidates."""
    found = np.empty((len(lists.enough), HEAD, HEAD), dtype=np.float32)
    bounds = lists.indptr.tolist()
    for user in range(len(found)):
        head = lists.vectors[bounds[user] : min(bounds[user] + HEAD, bounds[user + 1])]
        np.matmul(head, head.T, out=found[user, : len(head), : len(head)])
    return found


@njit(cache=True)
def _choose(
    indptr: Any, relevance: Any, vectors: Any, groups: Any, enough: Any, heads: Any, mix_indptr: Any, target: Any,
    weights: Any, cap_indptr: Any, codes: Any, most: Any, diversity: Any, threshold: Any, margin: Any,
    taken: Any, sizes: Any,
) -> None:  # fmt: skip
    none, no_counts = np.zeros(1, dtype=np.int64), empty_counts(codes)
    for user in range(len(sizes)):
        start, end = indptr[user], indptr[user + 1]
        n, size = end - start, min(end - start, taken.shape[1])
        own, head = vectors[start:end], heads[user][: min(end - start, HEAD)]
        kept, least = np.full(n, -1, dtype=np.int8), np.empty(n, dtype=np.float32)
        least_products(own, head, threshold, margin, least)
        if walk(own, head, kept, threshold, least, enough[user]) < enough[user]:
            sizes[user] = -1
            continue
        sizes[user] = select_into(
            taken[user, :size], relevance[start:end], own, np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64),
            np.empty((n, size), dtype=np.float32), np.full(n, np.nan), 2 * margin, diversity, head, kept, threshold,
            least, groups[start:end], target[mix_indptr[user] : mix_indptr[user + 1]], weights[user],
            cap_indptr[start : end + 1] if most > 0 else none, codes, most, no_counts.copy(),
        )  # fmt: skip
