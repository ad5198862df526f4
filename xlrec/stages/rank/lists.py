"""Users' lists: fusion, near-duplicates, the greedy, the fill and the reasons. Arrays and the index, no Spark."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.config import Config, RankConfig
from xlrec.index import ItemIndex
from xlrec.index_learnt import models_of, places_of
from xlrec.kernels.calibration import shown_languages
from xlrec.kernels.csr import indptr_of, owners_of
from xlrec.kernels.fusion import Fused, best_first, credit, fuse, odds
from xlrec.kernels.sums import sums_of
from xlrec.recommenders import ranking
from xlrec.stages.rank.choosing import Chooser, Chosen
from xlrec.stages.rank.features import Features
from xlrec.stages.rank.reasons import Reasons
from xlrec.stages.rank.reranking import Reranker
from xlrec.stages.rank.users import Listed, Scored, Users
from xlrec.tables import FALLBACK, SOURCES

#: What a reason's kind can be, by number.
KINDS: Final = (*SOURCES, FALLBACK)
_SIMILAR, _COVISITED, _POPULAR, _FALLBACK = range(4)
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
        self.chooser = Chooser(index, config.rank, self.k, self.shortlist)
        self.reasons = Reasons(index, self.models, config.rank.n_because)
        self.features = Features(index, self.models)
        self.reranker = self._reranker(config.rank.ranker) if config.rank.ranker else None

    def _reranker(self, folder: str) -> Reranker:
        model = ranking.load(folder)
        model.check(weighted(self.config), self.models is not None, folder)
        return Reranker(model, self.features, self.shortlist)

    def lists_of(self, users: Users) -> Listed:
        """The users' lists; each depends on nothing but the user, the index and the config."""
        scored = self.scored(users)
        if self.reranker is None:
            return self._listed(users, scored, self.chooser.of(users, scored))
        shortlists = self.reranker.shortlists(users, scored)
        scored = self.reranker.reordered(scored, shortlists)
        chosen = self.chooser.of(users, scored)
        return self._listed(users, self.reranker.explained(scored, shortlists, chosen.columns), chosen)

    def scored(self, users: Users) -> Scored:
        """The users' candidates by the weighted fusion."""
        scaled = self._scaled(users)
        fused = self._credited(users, fuse(scaled, users.indptr, self.weights))
        indptr, order = best_first(fused.scores, users.indptr)
        names: Any = pa.array(self.index.languages, users.languages.type)
        reads = pc.index_in(users.languages, names).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        readable = self.chooser.readable(users.nums[order], indptr, reads, users.languages_indptr)
        sizes = np.bincount(owners_of(indptr)[readable], minlength=len(users.markets))
        return Scored(scaled, fused, indptr_of(sizes), order[readable], reads)

    def _scaled(self, users: Users) -> _Floats:
        """Scores of which all are at least 0 where they say something: logits of a model become odds."""
        if self.models is None:
            return users.scores
        found = users.scores.copy()
        found[_SIMILAR] = odds(users.scores[_SIMILAR], users.indptr, self.config.logit_scale)
        return found

    def _credited(self, users: Users, fused: Fused) -> Fused:
        if self.models is None or not self.weights[_SIMILAR] > 0:
            return fused
        places = places_of(self.models, users.markets)[owners_of(users.indptr)]
        untaught = np.zeros(len(places), dtype=np.bool_)
        for place in np.unique(places):
            mine = places == place
            untaught[mine] = ~self.models.each[place].taught[users.nums[mine]]
        return credit(fused, users.indptr, _SIMILAR, untaught)

    def _listed(self, users: Users, scored: Scored, chosen: Chosen) -> Listed:
        nums, columns, owners = chosen.nums, chosen.columns, owners_of(chosen.indptr)
        outside = columns < 0
        terms, scores = np.zeros((len(SOURCES), len(nums))), np.zeros(len(nums))
        terms[:, ~outside] = scored.fused.terms[:, columns[~outside]]
        scores[~outside] = scored.fused.scores[columns[~outside]]
        for user in np.unique(owners[outside]):
            mine = outside & (owners == user)
            terms[_POPULAR, mine] = self._popular_terms(users.markets[user], scored.fused.bests[user], nums[mine])
        scores[outside] = terms[_POPULAR, outside]
        kinds = np.where((terms.max(axis=0) > 0) & ~outside, terms.argmax(axis=0), _FALLBACK)
        if self.models is not None:
            learnt = np.flatnonzero(kinds == _SIMILAR)
            kinds[learnt] = np.where(self._is_personal(users)[columns[learnt]], _SIMILAR, _POPULAR)
        because = np.full((len(nums), self.config.n_because), -1, dtype=np.int64)
        for kind, named in ((_SIMILAR, self.reasons.similar), (_COVISITED, self.reasons.covisited)):
            rows = np.flatnonzero(kinds == kind)
            if self.config.n_because:
                because[rows] = named(users, owners[rows], nums[rows])
        bits, reads = self.chooser.bits, scored.reads
        shown = shown_languages(bits, nums, chosen.indptr, reads, users.languages_indptr)[1]
        return Listed(chosen.indptr, nums, scores, kinds, shown, because)

    def _popular_terms(self, market: str | None, bests: _Floats, nums: NDArray[np.int32]) -> _Floats:
        """Popularity's term of items to fall back on, on the candidates' scale; their own where those have none."""
        found = self.index.popularity(market)[nums]
        best = bests[_POPULAR] or float(found.max())
        return self.weights[_POPULAR] * (found / best) if best > 0 else np.zeros(len(nums))

    def _is_personal(self, users: Users) -> NDArray[np.bool_]:
        """(n,) whether the history lifts a candidate further above the user's average one than the rest does."""
        owners, sizes = owners_of(users.indptr), np.maximum(np.diff(users.indptr), 1)
        own = users.scores[_SIMILAR] - users.prior
        lifts = [part - (sums_of(part, users.indptr) / sizes)[owners] for part in (own, users.prior)]
        return np.asarray(lifts[0] > lifts[1])
