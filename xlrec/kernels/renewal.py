"""An earlier top-k list brought up to date: what it held is scored, what changed is searched, the rest is bounded.

Let a list hold a user's best items of an earlier night, and `floor` be a score that no allowed item outside of it had.
Tonight the query and what masks items are the same. Items fall into those that changed, which are searched, and those
of which it is known that no score rose by more than `rise`: where no number of its vector changed, a listed item's
score of then is tonight's, to the bit; elsewhere it is computed anew. So an unchanged item outside of the list scores
at most floor + rise, up to rounding: the best k of what the list and the changed items hold, where all of them lie
above that, are the best k of all. A list for which this cannot be said is searched for in full.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.mask import Mask
from xlrec.kernels.topk import Shards, inner_products

#: What a listed item is tonight: not to be taken from lists, to be scored anew, or scored as it was.
OUT: Final = 0
MOVED: Final = 1
SAME: Final = 2


class Lists(NamedTuple):
    """Lists of n users: `nums` (n, width) int32, best first, padded with -1; their `scores` (n, width) float64, -inf.

    No allowed item outside of a list scores above its floor, `floors` (n,) float64; -inf: all that may rank are in it.
    `margins` (n,) float64: how far above the floor the list's k-th score lies.
    """

    nums: NDArray[np.int32]
    scores: NDArray[np.float64]
    floors: NDArray[np.float64]
    margins: NDArray[np.float64]

    @staticmethod
    def empty(n: int, width: int) -> "Lists":
        """Lists that hold nothing and prove nothing."""
        nums, scores = np.full((n, width), -1, dtype=np.int32), np.full((n, width), -np.inf)
        return Lists(nums, scores, np.full(n, np.inf), np.zeros(n))

    def unscored(self) -> "Lists":
        """The same with scores of -inf, which take no memory."""
        return self._replace(scores=np.broadcast_to(-np.inf, self.nums.shape))

    def of(self, rows: NDArray[np.int64], width: int) -> "Lists":
        """A copy of some lists, in their order, padded to this width."""
        if self.nums.shape[1] == width:
            return Lists(self.nums[rows], self.scores[rows], self.floors[rows], self.margins[rows])
        found, own = Lists.empty(len(rows), width), self.nums.shape[1]
        found.nums[:, :own], found.scores[:, :own] = self.nums[rows], self.scores[rows]
        found.floors[:], found.margins[:] = self.floors[rows], self.margins[rows]
        return found

    def put(self, rows: NDArray[np.int64], lists: "Lists") -> None:
        """Writes lists of the same width to some rows."""
        self.nums[rows], self.scores[rows] = lists.nums, lists.scores
        self.floors[rows], self.margins[rows] = lists.floors, lists.margins


def digests(
    queries: NDArray[np.float64], mask: Mask, numberings: Sequence[NDArray[np.int32]]
) -> list[NDArray[np.uint64]]:
    """(n, 2) uint64 each: 128 bits that tell apart what is asked: query, group, seen items, and readable words.

    Args:
        queries: (n, dim) float64.
        mask: What each user may get.
        numberings: The seen items, as `mask.seen_nums` or as they are numbered elsewhere; digests are made of each.
    """
    queries, ends = np.ascontiguousarray(queries), (4 * mask.seen_indptr).tolist()
    groups, words, restricted = mask.group.tolist(), mask.user_words, mask.restricted.tolist()
    seen = [np.ascontiguousarray(nums, dtype=np.int32).tobytes() for nums in numberings]
    found: list[list[bytes]] = [[] for _ in seen]
    for row, query in enumerate(queries):
        told = hashlib.blake2b(query, digest_size=16)
        more = b"only" + words[row].tobytes() if restricted[row] else b""
        told.update(groups[row].to_bytes(4, "little") + more)
        for nums, some in zip(seen, found, strict=True):
            one = told.copy()
            one.update(nums[ends[row] : ends[row + 1]])
            some.append(one.digest())
    return [np.frombuffer(b"".join(some), dtype=np.uint64).reshape(-1, 2) for some in found]


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
    return Lists(ids, scores, floors, margins)


def taken(
    queries: NDArray[np.float64],
    lists: Lists,
    renumbered: NDArray[np.int32],
    states: NDArray[np.uint8],
    group: NDArray[np.int32],
    shards: Shards,
) -> tuple[NDArray[np.int32], NDArray[np.float64], int]:
    """(n, width) item_nums of what is listed, float64 scores as `top_k` has them, and how many were computed anew.

    Numbers are tonight's, -1 where an item is gone; scores are -inf where it is `OUT`.

    Args:
        queries: (n, dim) float64.
        lists: Of the same queries, groups, seen items and words as tonight's.
        renumbered: (n_old_items,) int32, each item's number tonight; -1 where it is gone.
        states: (n_groups, n_items) uint8, `OUT`, `MOVED` or `SAME`. An item is one of the last two only where its group
            may get it and its words are the same both nights, and `SAME` only where its vector is.
        group: (n,) int32 of each user.
        shards: Item vectors.
    """
    n, width = lists.nums.shape
    nums, scores = np.full((n, width), -1, dtype=np.int32), np.full((n, width), -np.inf)
    moved = np.empty(nums.size, dtype=np.int64)
    moved = moved[: _take(lists.nums, lists.scores, renumbered, states, group, nums, scores, moved)]
    if len(moved):
        scores.ravel()[moved] = inner_products(queries, moved // width, nums.ravel()[moved], shards)
    return nums, scores, len(moved)


@njit(cache=True)
def _take(old_nums, old_scores, renumbered, states, group, nums, scores, moved):  # type: ignore[no-untyped-def]
    """Fills numbers, scores that stay, and `moved` with the flat places of those to be computed; how many these are."""
    n_moved, width = 0, nums.shape[1]
    for user in range(len(nums)):
        state = states[group[user]]
        for place in range(width):
            old = old_nums[user, place]
            num = renumbered[old] if old >= 0 else -1
            nums[user, place] = num
            if num >= 0 and state[num] == SAME:
                scores[user, place] = old_scores[user, place]
            elif num >= 0 and state[num] == MOVED:
                moved[n_moved] = user * width + place
                n_moved += 1
    return n_moved


class Renewed(NamedTuple):
    """Tonight's lists; `proven` (n,) bool: the first k are the best."""

    lists: Lists
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
    return Renewed(Lists(nums, scores, floors, margins), proven)


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
