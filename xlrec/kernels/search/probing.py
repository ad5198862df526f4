"""How many lists each market must look at: the approximate first pass beside the exact one, on a sample of users."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.approximate import Approximate, Lists
from xlrec.kernels.search.items import Items
from xlrec.kernels.search.mask import Mask

_MOST: Final = 4  # a market that needs more than this part of the lists is searched exactly
_SHORT: Final = 0.5  # and one where more of the users than this come short of candidates


class Sample(NamedTuple):
    """Users of one model who were searched exactly."""

    queries: NDArray[np.float64]  # (n_users, dim)
    mask: Mask
    exact: NDArray[np.int32]  # (n_users, candidates) of `top_k`


class Probes(NamedTuple):
    """What was chosen, and what it finds of the exact lists of the sample."""

    n_probes: NDArray[np.int64]  # (n_groups,) of the mask; 0: searched exactly
    wanted: NDArray[np.int64]  # (n_groups, 2) items in the sample's exact lists: all candidates, the first k
    found: NDArray[np.int64]  # (n_groups, 2) those of them that the search finds; all where it is exact


def overlaps(found: NDArray[np.integer[Any]], exact: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """As `exact`: whether each of its item numbers is anywhere in the same row of `found`; False for padding, -1."""
    n = int(max(found.max(initial=0), exact.max(initial=0))) + 2
    rows = np.arange(len(exact), dtype=np.int64)[:, None] * n
    return np.isin(exact + rows, found + rows) & (exact >= 0)


def probes_for(
    lists: Lists, scales: NDArray[np.float64], sample: Sample, items: Items, *, k: int, min_recall: float, first: int
) -> Probes:
    """For each group the fewest lists, doubling from `first`, whose recall at candidates is at least `min_recall`.

    0, which is the exact search, for groups that have nobody in the sample with a list, for those that would need more
    than a quarter of the lists, and for those where most users would come short and be searched exactly anyway.

    Args:
        lists: Of `approximate.laid_out`.
        scales: They were made with.
        sample: Users who are searched.
        items: What they are searched in.
        k: Length of the list that readers see.
        min_recall: Share of the exact candidates that must be found, in the mean over a group's candidates.
        first: Lists to begin with.
    """
    group, there = sample.mask.group, sample.exact >= 0
    n_groups, n_lists = len(sample.mask.eligible), len(lists.means)
    wanted = _counted(there, group, n_groups, k)
    probes, found = np.zeros(n_groups, dtype=np.int64), wanted.copy()
    left, n_probe = wanted[:, 0] > 0, max(1, min(first, n_lists // _MOST))
    while left.any() and n_probe <= n_lists // _MOST:
        users = np.flatnonzero(left[group])
        search = Approximate(lists, items.norms, scales, np.full(n_groups, n_probe))
        near = search.find(sample.queries[users], items, there.shape[1], sample.mask.of(users))
        hits = np.zeros_like(there)
        hits[users] = overlaps(near.ids, sample.exact[users])
        got = _counted(hits, group, n_groups, k)
        asked = np.bincount(group[users], minlength=n_groups)
        short = np.bincount(group[users], weights=~near.whole, minlength=n_groups)
        done = left & (got[:, 0] >= min_recall * wanted[:, 0]) & (short <= _SHORT * asked)
        probes[done], found[done] = n_probe, got[done]
        left &= ~done
        n_probe *= 2
    return Probes(probes, wanted, found)


def _counted(there: NDArray[np.bool_], group: NDArray[np.int32], n_groups: int, k: int) -> NDArray[np.int64]:
    """(n_groups, 2) True entries of each group's rows: in all columns, in the first k."""
    each = (there.sum(axis=1), there[:, :k].sum(axis=1))
    return np.stack([np.bincount(group, weights=one, minlength=n_groups).astype(np.int64) for one in each], axis=1)
