"""One user's list: fusion, near-duplicates, the greedy, the fill and the reasons. Arrays and the index, no Spark."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.config import Config, RankConfig
from xlrec.index import ItemIndex
from xlrec.index_learnt import Learnt, models_of
from xlrec.kernels.calibration import shown_languages
from xlrec.kernels.diversity import Copies, collapse, copies_of, products
from xlrec.kernels.fusion import Fused, best_first, covisited_terms, credit, fuse, heaviest, odds, similar_terms
from xlrec.kernels.selection import Caps, Mix, fill, select
from xlrec.recommenders import ranking
from xlrec.stages.rank.features import Features
from xlrec.stages.rank.reranking import Reranker
from xlrec.stages.rank.users import Listed, Scored, User
from xlrec.tables import FALLBACK, SOURCES

#: What a reason's kind can be, by number.
KINDS: Final = (*SOURCES, FALLBACK)
_SIMILAR, _COVISITED, _POPULAR, _FALLBACK = range(4)
_Nums = NDArray[np.int32]
_Floats = NDArray[np.float64]


def shortlist_of(k: int) -> int:
    """Best candidates that the greedy, and a ranker, look at."""
    return max(5 * k, 100)


def weighted(config: RankConfig) -> list[str]:
    """Sources with a weight."""
    return [source for source in SOURCES if getattr(config.weights, source) > 0]


class Ranker:
    """Lists of users on one index; without Spark, so that it can be timed and tried alone."""

    def __init__(self, index: ItemIndex, config: Config) -> None:
        """Opens nothing by itself: the index's arrays load on first use."""
        self.index, self.config, self.k = index, config.rank, config.k
        self.shortlist = shortlist_of(self.k)
        self.weights = np.array([getattr(config.rank.weights, source) for source in SOURCES])
        self.models = models_of(index) if config.train.hybrid.enabled else None
        self.bits = np.asarray(index.language_bits)
        self.language_nums = {name: num for num, name in enumerate(index.languages)}
        self.features = Features(index, self.models)
        self.reranker = self._reranker(config.rank.ranker) if config.rank.ranker else None

    def _reranker(self, folder: str) -> Reranker:
        model = ranking.load(folder)
        model.check(weighted(self.config), self.models is not None, folder)
        return Reranker(model, self.features, self.shortlist)

    def lists_of(self, users: Sequence[User]) -> list[Listed]:
        """The users' lists; each depends on nothing but the user, the index and the config."""
        scored = [self.scored(user) for user in users]
        shortlists = self.reranker.shortlists(users, scored) if self.reranker else []
        if self.reranker:
            scored = self.reranker.reordered(scored, shortlists)
        chosen = [self._chosen(user, one) for user, one in zip(users, scored, strict=True)]
        if self.reranker:
            scored = self.reranker.explained(scored, shortlists, [columns for _, columns in chosen])
        return [self._listed(user, one, *picked) for user, one, picked in zip(users, scored, chosen, strict=True)]

    def scored(self, user: User) -> Scored:
        """The user's candidates by the weighted fusion."""
        scaled = self._scaled(user.scores)
        fused = fuse(scaled, self.weights)
        learnt = self._learnt(user)
        if learnt is not None and self.weights[_SIMILAR] > 0:
            fused = credit(fused, _SIMILAR, ~learnt.taught[user.nums])
        reads = np.array([self.language_nums.get(name, -1) for name in user.languages], dtype=np.int64)
        order = best_first(fused.scores, user.nums)
        return Scored(scaled, fused, order[self._readable(user.nums[order], reads)], reads)

    def _chosen(self, user: User, scored: Scored) -> tuple[_Nums, NDArray[np.int64]]:
        """The list's item_nums, and the candidate that each is; -1: to fall back on."""
        order, reads = scored.order, scored.reads
        nums = user.nums[order]
        taken = self._greedy(nums, scored.fused.scores[order], user, reads)
        if len(taken) < self.k:
            rest = user.fallback[~np.isin(user.fallback, user.nums)]
            nums = np.concatenate([nums, rest[self._readable(rest, reads)]])
            taken = self._filled(nums, taken, len(order))
        columns = np.full(len(taken), -1, dtype=np.int64)
        columns[taken < len(order)] = order[taken[taken < len(order)]]
        return nums[taken], columns

    def _learnt(self, user: User) -> Learnt | None:
        """What serves the user's market."""
        return self.models.of(user.market) if self.models is not None else None

    def _scaled(self, scores: _Floats) -> _Floats:
        """Scores of which all are at least 0 where they say something: logits of a model become odds."""
        if self.models is None:
            return scores
        found = scores.copy()
        found[_SIMILAR] = odds(scores[_SIMILAR], self.config.logit_scale)
        return found

    def _readable(self, nums: _Nums, reads: NDArray[np.int64]) -> NDArray[np.bool_]:
        if self.config.languages != "only" or not len(reads):
            return np.ones(len(nums), dtype=np.bool_)
        return shown_languages(self.bits, nums, reads)[0] < len(reads)

    def _greedy(self, nums: _Nums, scores: _Floats, user: User, reads: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in `nums` (best first) of up to k items, from the best that are no near-duplicates."""
        rows, vectors, copies = self._distinct(nums)
        best = scores[0] if len(scores) and scores[0] > 0 else 1.0
        target, weight = np.zeros(len(reads) + 1), 0.0
        total = float(user.language_weights.sum())
        if self.config.languages == "calibrated" and 0 < total < np.inf:
            target[:-1], weight = user.language_weights / total, self.config.calibration
        mix = Mix(shown_languages(self.bits, nums[rows], reads)[0], target, weight)
        caps = self._caps(nums[rows])
        picks = select(self.k, scores[rows] / best, vectors, self.config.diversity, mix, caps, copies)
        return rows[picks]

    def _distinct(self, nums: _Nums) -> tuple[NDArray[np.int64], NDArray[np.float32], Copies]:
        """The shortlist: its positions, ascending, its vectors, and what is known of copies among them.

        Walks on past the first `shortlist` items only where more than half of them are copies of better ones.
        """
        near, half = self.config.near_duplicate, (self.shortlist + 1) // 2
        vectors = self.index.gather(nums[: self.shortlist])
        copies = copies_of(vectors, near, half if len(nums) > self.shortlist else 0)
        rows = np.arange(len(vectors))
        if len(nums) <= self.shortlist or (copies.kept == 1).sum() >= half:
            return rows, vectors, copies
        rows, vectors = rows[copies.kept == 1], vectors[copies.kept == 1]
        for start in range(self.shortlist, len(nums), self.shortlist):
            if len(rows) >= half:
                break
            more = nums[start : start + self.shortlist]
            rows = np.concatenate([rows, np.arange(start, start + len(more))])
            vectors = np.concatenate([vectors, self.index.gather(more)])
            kept = collapse(vectors, near)
            rows, vectors = rows[kept], vectors[kept]
        return rows, vectors, Copies.none(products(vectors), len(rows))

    def _filled(self, nums: _Nums, taken: NDArray[np.int64], n_candidates: int) -> NDArray[np.int64]:
        walk = np.concatenate([taken, np.setdiff1d(np.arange(len(nums)), taken)])
        copies = np.zeros(len(nums), dtype=np.bool_)
        copies[walk] = ~collapse(self.index.gather(nums[walk]), self.config.near_duplicate)
        return fill(self.k, taken, n_candidates, copies, self._caps(nums))

    def _caps(self, nums: _Nums) -> Caps:
        most = self.config.max_per_category
        return Caps.of(nums, *self.index.category_csr, most) if most else Caps.none()

    def _listed(self, user: User, scored: Scored, nums: _Nums, columns: NDArray[np.int64]) -> Listed:
        fused, reads = scored.fused, scored.reads
        terms = fused.terms[:, columns] if len(user.nums) else np.zeros((len(SOURCES), len(nums)))
        outside = columns < 0
        if outside.any():
            terms[:, outside] = 0.0
            terms[_POPULAR, outside] = self._popular_terms(user, fused, nums[outside])
        kinds = np.where((terms.max(axis=0) > 0) & ~outside, terms.argmax(axis=0), _FALLBACK)
        if self.models is not None:
            learnt = np.flatnonzero(kinds == _SIMILAR)
            kinds[learnt] = np.where(self._is_personal(user, columns[learnt]), _SIMILAR, _POPULAR)
        because = np.full((len(nums), self.config.n_because), -1, dtype=np.int64)
        for kind, terms_of in ((_SIMILAR, self._similar_terms), (_COVISITED, self._covisited_terms)):
            rows = np.flatnonzero(kinds == kind)
            if self.config.n_because and len(user.history) and len(rows):
                found = heaviest(terms_of(user, nums[rows]), self.config.n_because)
                because[rows] = np.where(found >= 0, user.history[found], -1)
        scores = np.where(outside, terms[_POPULAR], fused.scores[columns] if len(user.nums) else 0.0)
        return Listed(nums, scores, kinds, shown_languages(self.bits, nums, reads)[1], because)

    def _popular_terms(self, user: User, fused: Fused, nums: _Nums) -> _Floats:
        """Popularity's term of items to fall back on, on the candidates' scale; their own where those have none."""
        found = self.index.popularity(user.market)[nums]
        best = fused.bests[_POPULAR] or float(found.max())
        return self.weights[_POPULAR] * (found / best) if best > 0 else np.zeros(len(nums))

    def _is_personal(self, user: User, columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the history lifts a candidate further above the user's average one than market and languages do."""
        own, prior = user.scores[_SIMILAR] - user.prior, user.prior
        return np.asarray((own - own.mean())[columns] > (prior - prior.mean())[columns])

    def _similar_terms(self, user: User, nums: _Nums) -> _Floats:
        """(n, n_history) what each history item adds to each item's `similar`, up to a factor of the user's."""
        learnt = self._learnt(user)
        if learnt is None:
            return similar_terms(self.index.gather(user.history), user.attention, self.index.gather(nums))
        vectors = learnt.gather(user.history, history=True), learnt.gather(nums, history=False)
        return similar_terms(vectors[0], user.attention, vectors[1])

    def _covisited_terms(self, user: User, nums: _Nums) -> _Floats:
        """(n, n_history) what each history item adds to each item's `covisited`."""
        return covisited_terms(user.history, user.history_weights, nums, self.index.neighbours)
