"""Probes of each market: the lists that a user must scan for a wanted recall, measured on a sample of users."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.items import Items
from xlrec.kernels.search.ivf_lists import InvertedLists
from xlrec.kernels.search.ivf_search import IvfSearch
from xlrec.kernels.search.mask import Mask

_MOST: Final = 4  # a market that needs more than this part of the lists is searched exactly
_SHORT: Final = 0.5  # and one where more of the users than this come short of candidates


class Sample(NamedTuple):
    """Users of one model, and their exact lists."""

    queries: NDArray[np.float64]  # (n_users, dim)
    mask: Mask
    exact: NDArray[np.int32]  # (n_users, candidates) item_nums of `top_k`, padded with -1


class Probes(NamedTuple):
    """Lists that each group of users scans, and their recall on the sample."""

    n_probes: NDArray[np.int64]  # (n_groups,) lists, by group of the mask; 0: searched exactly
    wanted: NDArray[np.int64]  # (n_groups, 2) items in the sample's exact lists: all candidates, the first k
    found: NDArray[np.int64]  # (n_groups, 2) those of them that the search finds; all where it is exact


def overlaps(found: NDArray[np.integer[Any]], exact: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """(n_users, k) bool: whether the item number of `exact` is in the same row of `found`.

    Both are padded with -1, which counts as False.

    Args:
        found: (n_users, n_found) integer item numbers, of any width.
        exact: (n_users, k) integer item numbers.
    """
    n = int(max(found.max(initial=0), exact.max(initial=0))) + 2
    rows = np.arange(len(exact), dtype=np.int64)[:, None] * n
    return np.isin(exact + rows, found + rows) & (exact >= 0)


def probes_for(
    lists: InvertedLists,
    scales: NDArray[np.float64],
    sample: Sample,
    items: Items,
    *,
    k: int,
    min_recall: float,
    first: int,
) -> Probes:
    """Probes of each group: the fewest lists, doubling from `first`, whose recall is at least `min_recall`.

    0, which is the exact search, for groups that have nobody in the sample with a list, for those that would need more
    than a quarter of the lists, and for those where most users would come short and be searched exactly anyway.

    `scales` (dim,) float64 are those of the lists, `k` is the length of the published list, and `min_recall` the share
    of the exact candidates that must be found, in the mean over a group's candidates.
    """
    group, there = sample.mask.group, sample.exact >= 0
    n_groups, n_lists = len(sample.mask.eligible), len(lists.means)
    wanted = _counted(there, group, n_groups, k)
    probes, found = np.zeros(n_groups, dtype=np.int64), wanted.copy()
    left, n_probe = wanted[:, 0] > 0, max(1, min(first, n_lists // _MOST))
    while left.any() and n_probe <= n_lists // _MOST:
        users = np.flatnonzero(left[group])
        search = IvfSearch(lists, items, scales, np.full(n_groups, n_probe))
        near, _ = search.search_lists(sample.queries[users], there.shape[1], sample.mask.of_users(users))
        hits = np.zeros_like(there)
        hits[users] = overlaps(near, sample.exact[users])
        got = _counted(hits, group, n_groups, k)
        n_users = np.bincount(group[users], minlength=n_groups)
        short = np.bincount(group[users], weights=near[:, -1] < 0, minlength=n_groups)
        done = left & (got[:, 0] >= min_recall * wanted[:, 0]) & (short <= _SHORT * n_users)
        probes[done], found[done] = n_probe, got[done]
        left &= ~done
        n_probe *= 2
    return Probes(probes, wanted, found)


def _counted(there: NDArray[np.bool_], group: NDArray[np.int32], n_groups: int, k: int) -> NDArray[np.int64]:
    """(n_groups, 2) True entries of each group's rows: in all columns, in the first k."""
    each = (there.sum(axis=1), there[:, :k].sum(axis=1))
    return np.stack([np.bincount(group, weights=one, minlength=n_groups).astype(np.int64) for one in each], axis=1)
