"""An earlier top-k list brought up to date: what it held is scored anew, what changed is searched, the rest is bounded.

Let a list hold a user's best items of an earlier night, and `floor` be a score that no allowed item outside of it had.
Tonight the query is the same. Items fall into those that changed, which are searched, and those of which it is known
that no score rose by more than `rise`. So an unchanged item outside of the list scores at most floor + rise, up to
rounding: the best k of what the list and the changed items hold, where all of them lie above that, are the best k of
all. A list for which this cannot be said is searched for in full.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.mask import Mask, allowed
from xlrec.kernels.scan import dot
from xlrec.kernels.topk import Shards


class Lists(NamedTuple):
    """Lists of n users: `nums` (n, width) int32, best first, padded with -1; `floors` (n,) float64.

    No allowed item outside of a list scores above its floor; -inf: all that may rank are in it. `margins` (n,) float64:
    how far above the floor the list's k-th score lies.
    """

    nums: NDArray[np.int32]
    floors: NDArray[np.float64]
    margins: NDArray[np.float64]


def digests(queries: NDArray[np.float64], mask: Mask, seen: Mask | None = None) -> NDArray[np.uint64]:
    """(n, 2) uint64: 128 bits that tell apart what is asked: query, group, seen items, and readable words.

    Args:
        queries: (n, dim) float64.
        mask: What each user may get.
        seen: Holds the seen items instead, as numbered elsewhere; None: those of `mask`.
    """
    indptr, nums = (mask if seen is None else seen)[2:4]
    found = np.empty((len(queries), 2), dtype=np.uint64)
    for row, query in enumerate(queries):
        told = hashlib.blake2b(query.tobytes(), digest_size=16)
        told.update(mask.group[row].tobytes())
        told.update(nums[indptr[row] : indptr[row + 1]].tobytes())
        if mask.restricted[row]:
            told.update(b"only" + mask.user_words[row].tobytes())
        found[row] = np.frombuffer(told.digest(), dtype=np.uint64)
    return found


def lists_of(ids: NDArray[np.int32], scores: NDArray[np.float64], k: int) -> Lists:
    """The lists of a full search.

    Args:
        ids: (n, width) of `top_k`, width at least k.
        scores: (n, width) of `top_k`.
        k: Items that will be asked for.
    """
    floors = scores[:, -1].copy()  # -inf where the list is not full: it holds everything
    with np.errstate(invalid="ignore"):
        margins = np.where(np.isfinite(floors), scores[:, k - 1] - floors, np.inf)
    return Lists(ids, floors, margins)


def rescored(
    queries: NDArray[np.float64],
    nums: NDArray[np.int32],
    changed: NDArray[np.bool_],
    norms: NDArray[np.float64],
    mask: Mask,
    shards: Shards,
) -> NDArray[np.float64]:
    """(n, width) float64 scores of listed items, as `top_k` scores them; -inf where one may not rank or changed.

    Args:
        queries: (n, dim) float64.
        nums: (n, width) int32, -1 where there is none.
        changed: (n_groups, n_items) bool.
        norms: (n_items,) float64; items of norm 0 do not rank.
        mask: What each user may get.
        shards: Item vectors.
    """
    found = np.full(nums.shape, -np.inf)
    for first, vectors in shards:
        _rescore(queries, nums, changed, norms, mask, first, vectors, found)
    return found


@njit(cache=True)
def _rescore(queries, nums, changed, norms, mask, first, vectors, found):  # type: ignore[no-untyped-def]
    for user in range(len(nums)):
        group = mask.group[user]
        for place in range(nums.shape[1]):
            num = nums[user, place]
            if not first <= num < first + len(vectors) or changed[group, num] or not 0 < norms[num] < np.inf:
                continue
            if allowed(mask, user, num):
                found[user, place] = dot(queries[user], vectors[num - first])


class Renewed(NamedTuple):
    """Tonight's lists: `scores` (n, width) float64, -inf where padded; `proven` (n,) bool: the first k are the best."""

    lists: Lists
    scores: NDArray[np.float64]
    proven: NDArray[np.bool_]


def renew(
    old: tuple[NDArray[np.int32], NDArray[np.float64]],
    new: tuple[NDArray[np.int32], NDArray[np.float64]],
    bounds: NDArray[np.float64],
    k: int,
) -> Renewed:
    """What the list and the changed items make together, (score desc, item_num asc).

    Args:
        old: (n, width) item_nums and scores of the lists, in any order; -inf is left out.
        new: (n, width) item_nums and scores of changed items: all that score above the bound, or the best of them.
        bounds: (n,) float64 that no other allowed item scores above.
        k: Items that are asked for.
    """
    n, width = old[0].shape
    nums, scores = np.full((n, width), -1, dtype=np.int32), np.full((n, width), -np.inf)
    _merge(*old, *new, nums, scores)
    proven = (scores[:, k - 1] > bounds) | (bounds == -np.inf)
    floors = np.where(scores[:, -1] > -np.inf, np.maximum(bounds, scores[:, -1]), bounds)
    with np.errstate(invalid="ignore"):
        margins = np.where(np.isfinite(floors), scores[:, k - 1] - floors, np.inf)
    return Renewed(Lists(nums, floors, margins), scores, proven)


@njit(cache=True)
def _merge(old_nums, old_scores, new_nums, new_scores, nums, scores):  # type: ignore[no-untyped-def]
    """Insertion, since what comes is nearly in order."""
    width = nums.shape[1]
    for user in range(len(nums)):
        size = 0
        for part in range(2):
            some = old_nums[user] if part == 0 else new_nums[user]
            values = old_scores[user] if part == 0 else new_scores[user]
            for place in range(len(some)):
                num, score = some[place], values[place]
                if score == -np.inf:
                    continue
                at = size
                while at > 0 and (scores[user, at - 1], -nums[user, at - 1]) < (score, -num):
                    at -= 1
                if at == width:
                    continue
                size = min(size + 1, width)
                for later in range(size - 1, at, -1):
                    nums[user, later], scores[user, later] = nums[user, later - 1], scores[user, later - 1]
                nums[user, at], scores[user, at] = num, score


def best_rise(rises: NDArray[np.float64], margins: NDArray[np.float64], shares: Sequence[float]) -> tuple[float, float]:
    """The rise above which an item counts as changed, and the share of a full search that is then expected.

    The higher it is, the fewer items are searched for everyone, and the more lists fall short and are searched in full:
    the sum of both shares is made least, over some quantiles of the rises.

    Args:
        rises: (n,) float64, how much each unchanged item's score rose; negative where it fell.
        margins: (m,) float64 of `Lists`, a sample; none: no list ever falls short.
        shares: Quantiles that are tried, 0 to 1.

    Returns:
        (0, 0) where there are no items.
    """
    if not len(rises):
        return 0.0, 0.0
    middle = float(np.median(rises))
    tried = np.unique(np.append(np.quantile(rises, shares, method="lower"), rises.max()))
    costs = [
        float((rises > rise).mean()) + (float((margins + middle <= rise).mean()) if len(margins) else 0.0)
        for rise in tried
    ]
    best = int(np.argmin(costs))
    return float(tried[best]), costs[best]


def slack(queries: NDArray[np.float64], longest: float) -> NDArray[np.float64]:
    """(n,) what float64 sums of these queries with items of at most this norm may be off by, both nights together."""
    dim = queries.shape[1]
    lengths: Any = np.sqrt((queries**2).sum(axis=1))
    return np.asarray(4 * (dim + 8) * np.finfo(np.float64).eps * lengths * longest)
