"""Which candidates a list holds: near-duplicates fall out, the greedy picks, and short lists are filled."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config.models import RankConfig
from xlrec.index.items import ItemIndex
from xlrec.kernels.base.csr import first_of, indptr_of, owners_of
from xlrec.kernels.ranking.calibration import shown_languages
from xlrec.kernels.ranking.diversity import Copies, collapse, products
from xlrec.kernels.ranking.selection import Caps, Mix, fill, select
from xlrec.kernels.ranking.shortlists import Mixes, Shortlists, choose
from xlrec.stages.rank.users import Scored, Users

_BLOCK: Final = 8  # users whose vectors lie in memory at once: few, so that they stay in the processor's cache
_Nums = NDArray[np.int32]
_Places = NDArray[np.int64]


class Chosen(NamedTuple):
    """The users' lists, each in rank order, one after another."""

    indptr: _Places
    nums: _Nums
    columns: _Places
    """The candidate that each item is; -1: one to fall back on."""


class _Ordered(NamedTuple):
    """Readable candidates of all users, best first."""

    indptr: _Places
    nums: _Nums
    relevance: NDArray[np.float64]
    """Score over the user's best; the score itself where that is not positive."""
    groups: _Places
    """Place of the language shown among the user's; their number where she reads none."""
    mixes: Mixes


class Chooser:
    """Lists on one index."""

    def __init__(self, index: ItemIndex, config: RankConfig, k: int, shortlist: int) -> None:
        """`shortlist`: best candidates that the greedy looks at, if at least half of them are no copies."""
        self.index, self.config, self.k, self.shortlist = index, config, k, shortlist
        self.bits = np.asarray(index.language_bits)
        self.room = np.empty((_BLOCK * shortlist, index.dim), dtype=np.float32)

    def of(self, users: Users, scored: Scored) -> Chosen:
        """The users' lists: k items, fewer only where candidates and fallback together are fewer."""
        ordered = self._ordered(users, scored)
        shape = len(users.markets), self.k
        nums, columns = np.zeros(shape, dtype=np.int32), np.full(shape, -1)
        sizes = np.full(len(users.markets), self.k)
        places, n_taken = self._greedy(ordered)
        for user in np.flatnonzero(n_taken < 0).tolist():
            taken = self._walked_on(user, ordered)
            places[user, : len(taken)], n_taken[user] = taken, len(taken)
        whole = n_taken == self.k
        at = ordered.indptr[:-1, None][whole] + places[whole]
        nums[whole], columns[whole] = ordered.nums[at], scored.order[at]
        for user in np.flatnonzero(~whole).tolist():
            items, candidates = self._filled(user, users, scored, ordered, places[user, : n_taken[user]])
            sizes[user] = len(items)
            nums[user, : len(items)], columns[user, : len(items)] = items, candidates
        listed = np.arange(self.k) < sizes[:, None]
        return Chosen(indptr_of(sizes), nums[listed], columns[listed])

    def readable(self, nums: _Nums, indptr: _Places, reads: _Places, reads_indptr: _Places) -> NDArray[np.bool_]:
        """(n,) whether users may be given items, by `languages`; indptr and reads as of `shown_languages`."""
        n_read = np.diff(reads_indptr)[owners_of(indptr)]
        if self.config.languages != "only":
            return np.ones(len(nums), dtype=np.bool_)
        groups = shown_languages(self.bits, nums, indptr, reads, reads_indptr)[0]
        return np.asarray((groups < n_read) | (n_read == 0))

    def _ordered(self, users: Users, scored: Scored) -> _Ordered:
        indptr, nums, scores = scored.indptr, users.nums[scored.order], scored.fused.scores[scored.order]
        groups = shown_languages(self.bits, nums, indptr, scored.reads, users.languages_indptr)[0]
        weight = self.config.calibration if self.config.languages == "calibrated" else 0.0
        bests = np.ones(len(users.markets))
        some = np.flatnonzero(np.diff(indptr))
        bests[some] = np.where(scores[indptr[some]] > 0, scores[indptr[some]], 1.0)
        mixes = Mixes.of(users.language_weights, users.languages_indptr, weight)
        return _Ordered(indptr, nums, scores / bests[owners_of(indptr)], groups, mixes)

    def _greedy(self, ordered: _Ordered) -> tuple[_Places, _Places]:
        """Places among each user's readable candidates, as `choose` gives them: -1 where too many are copies."""
        indptr, rows = first_of(ordered.indptr, self.shortlist)
        nums, relevance, groups = ordered.nums[rows], ordered.relevance[rows], ordered.groups[rows]
        enough = np.where(np.diff(ordered.indptr) > self.shortlist, self._half, 0)
        found = [(np.zeros((0, self.k), dtype=np.int64), np.zeros(0, dtype=np.int64))]
        for start in range(0, len(enough), _BLOCK):
            users = slice(start, min(start + _BLOCK, len(enough)))
            mine = slice(indptr[users.start], indptr[users.stop])
            bounds = indptr[users.start : users.stop + 1] - mine.start
            vectors = self.index.gather(nums[mine], self.room)
            lists = Shortlists(bounds, relevance[mine], vectors, groups[mine], enough[users])
            mixes, caps = ordered.mixes.part(users), self._caps(nums[mine])
            found.append(choose(self.k, lists, mixes, caps, self.config.diversity, self.config.near_duplicate))
        places, sizes = zip(*found, strict=True)
        return np.concatenate(places), np.concatenate(sizes)

    @property
    def _half(self) -> int:
        return (self.shortlist + 1) // 2

    def _walked_on(self, user: int, ordered: _Ordered) -> _Places:
        """The greedy's places where more than half of the shortlist are copies: it grows until half of it are none."""
        mine = slice(ordered.indptr[user], ordered.indptr[user + 1])
        nums, mix = ordered.nums[mine], ordered.mixes.part(slice(user, user + 1))
        rows, vectors = np.zeros(0, dtype=np.int64), np.zeros((0, self.index.dim), dtype=np.float32)
        for start in range(0, len(nums), self.shortlist):
            if len(rows) >= self._half:
                break
            more = nums[start : start + self.shortlist]
            rows = np.concatenate([rows, np.arange(start, start + len(more))])
            vectors = np.concatenate([vectors, self.index.gather(more)])
            kept = collapse(vectors, self.config.near_duplicate)
            rows, vectors = rows[kept], vectors[kept]
        wanted = Mix(ordered.groups[mine][rows], mix.target, float(mix.weights[0]))
        copies = Copies.none(products(vectors), len(rows))
        relevance, caps = ordered.relevance[mine][rows], self._caps(nums[rows])
        return rows[select(self.k, relevance, vectors, self.config.diversity, wanted, caps, copies)]

    def _filled(
        self, user: int, users: Users, scored: Scored, ordered: _Ordered, taken: _Places
    ) -> tuple[_Nums, _Places]:
        """The user's items, and the candidates that they are."""
        mine = slice(ordered.indptr[user], ordered.indptr[user + 1])
        fallback = users.fallback[users.fallback_indptr[user] : users.fallback_indptr[user + 1]]
        rest = fallback[~np.isin(fallback, users.nums[users.indptr[user] : users.indptr[user + 1]])]
        reads = scored.reads[users.languages_indptr[user] : users.languages_indptr[user + 1]]
        readable = self.readable(rest, np.array([0, len(rest)]), reads, np.array([0, len(reads)]))
        nums, order = np.concatenate([ordered.nums[mine], rest[readable]]), scored.order[mine]
        walk = np.concatenate([taken, np.setdiff1d(np.arange(len(nums)), taken)])
        copies = np.zeros(len(nums), dtype=np.bool_)
        copies[walk] = ~collapse(self.index.gather(nums[walk]), self.config.near_duplicate)
        taken = fill(self.k, taken, len(order), copies, self._caps(nums))
        columns = np.full(len(taken), -1, dtype=np.int64)
        columns[taken < len(order)] = order[taken[taken < len(order)]]
        return nums[taken], columns

    def _caps(self, nums: _Nums) -> Caps:
        most = self.config.max_per_category
        return Caps.of(nums, *self.index.category_csr, most) if most else Caps.none()
