"""The candidates of each list: near-duplicates fall out, the greedy picks, and short lists are filled."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config.models import RankConfig
from xlrec.index.items import ItemIndex
from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.ranking.calibration import Mix, language_mixes, shown_languages
from xlrec.kernels.ranking.diversity import keep_distinct
from xlrec.kernels.ranking.selection import Candidates, Caps, fill_list, select_items
from xlrec.stages.rank.users import Scored, Users

_Nums = NDArray[np.int32]
_Places = NDArray[np.int64]


class Chosen(NamedTuple):
    """The users' lists, each in rank order, one after another."""

    indptr: _Places  # (n_users + 1,) runs of the others
    nums: _Nums  # (n,) item_nums
    columns: _Places  # (n,) candidate that each item is; -1: one to fall back on


class _Ordered(NamedTuple):
    """Readable candidates of one user, best first."""

    nums: _Nums
    columns: _Places  # Positions among all candidates
    relevance: NDArray[np.float64]  # Score over the user's best; the score itself where that is not positive
    groups: _Places  # Place of the language shown among the user's; their number where she reads none
    mix: Mix


class Chooser:
    """Lists on one index."""

    def __init__(self, index: ItemIndex, config: RankConfig, k: int, shortlist: int) -> None:
        """`shortlist`: best candidates that the greedy looks at, if at least half of them are no near-duplicates."""
        self.index, self.config, self.k, self.shortlist = index, config, k, shortlist
        self.bits = np.asarray(index.language_bits)
        self.room = np.empty((shortlist, index.dim), dtype=np.float32)

    def choose_lists(self, users: Users, scored: Scored) -> Chosen:
        """The users' lists: k items, fewer only where candidates and fallback together are fewer."""
        scores = scored.fused.scores[scored.order]
        nums = users.nums[scored.order]
        groups = shown_languages(self.bits, nums, scored.indptr, scored.reads, users.languages_indptr)[0]
        weight = self.config.calibration if self.config.languages == "calibrated" else 0.0
        mixes = language_mixes(users.language_weights, users.languages_indptr, weight)
        items, columns = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int64)]
        for user, mix in enumerate(mixes):
            mine = slice(scored.indptr[user], scored.indptr[user + 1])
            best = scores[mine.start] if mine.start < mine.stop and scores[mine.start] > 0 else 1.0
            ordered = _Ordered(nums[mine], scored.order[mine], scores[mine] / best, groups[mine], mix)
            taken = self._greedy(ordered)
            if len(taken) == self.k:
                chosen = ordered.nums[taken], ordered.columns[taken]
            else:
                chosen = self._filled(user, users, scored, ordered, taken)
            items.append(chosen[0])
            columns.append(chosen[1])
        sizes = np.array([len(row) for row in items[1:]], dtype=np.int64)
        return Chosen(indptr_of(sizes), np.concatenate(items), np.concatenate(columns))

    def readable_items(self, nums: _Nums, indptr: _Places, reads: _Places, reads_indptr: _Places) -> NDArray[np.bool_]:
        """(n,) bool mask of the items that their users may be given, by `languages`.

        Args:
            nums: (n,) int32 item_nums, user after user.
            indptr: (n_users + 1,) int64 bounds of each user in `nums`.
            reads: (m,) int64 numbers of the users' languages, heaviest first; -1 for one that no item has.
            reads_indptr: (n_users + 1,) int64 bounds of each user in `reads`.
        """
        n_read = np.diff(reads_indptr)[owners_of(indptr)]
        if self.config.languages != "only":
            return np.ones(len(nums), dtype=np.bool_)
        groups = shown_languages(self.bits, nums, indptr, reads, reads_indptr)[0]
        return np.asarray((groups < n_read) | (n_read == 0))

    def _greedy(self, ordered: _Ordered) -> _Places:
        """Positions of the user's list. The shortlist grows until half of it are no near-duplicates."""
        threshold, nums = self.config.near_duplicate, ordered.nums
        rows = np.arange(min(self.shortlist, len(nums)))
        vectors = self.index.gather_vectors(nums[rows], self.room)
        kept = keep_distinct(vectors, threshold)
        enough = (self.shortlist + 1) // 2
        for start in range(self.shortlist, len(nums), self.shortlist):
            if kept.sum() >= enough:
                break
            more = np.arange(start, min(start + self.shortlist, len(nums)))
            rows = np.concatenate([rows[kept], more])
            vectors = np.concatenate([vectors[kept], self.index.gather_vectors(nums[more])])
            kept = keep_distinct(vectors, threshold)
        candidates = Candidates(ordered.relevance[rows], vectors, ordered.groups[rows])
        return rows[select_items(self.k, candidates, self.config.diversity, ordered.mix, self._caps(nums[rows]), kept)]

    def _filled(
        self, user: int, users: Users, scored: Scored, ordered: _Ordered, taken: _Places
    ) -> tuple[_Nums, _Places]:
        """The user's items, and the candidates that they are."""
        fallback = users.fallback[users.fallback_indptr[user] : users.fallback_indptr[user + 1]]
        rest = fallback[~np.isin(fallback, users.nums[users.indptr[user] : users.indptr[user + 1]])]
        reads = scored.reads[users.languages_indptr[user] : users.languages_indptr[user + 1]]
        readable = self.readable_items(rest, np.array([0, len(rest)]), reads, np.array([0, len(reads)]))
        nums, n_candidates = np.concatenate([ordered.nums, rest[readable]]), len(ordered.nums)
        order = np.concatenate([taken, np.setdiff1d(np.arange(len(nums)), taken)])
        copies = np.zeros(len(nums), dtype=np.bool_)
        copies[order] = ~keep_distinct(self.index.gather_vectors(nums[order]), self.config.near_duplicate)
        taken = fill_list(self.k, taken, n_candidates, copies, self._caps(nums))
        columns = np.concatenate([ordered.columns, np.full(len(nums) - n_candidates, -1)])
        return nums[taken], columns[taken]

    def _caps(self, nums: _Nums) -> Caps:
        return Caps.of_items(nums, *self.index.category_csr, self.config.max_per_category or 0)
