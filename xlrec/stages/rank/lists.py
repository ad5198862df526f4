"""Users' lists: fusion, near-duplicates, the greedy, the fill and the reasons. Arrays and the index, no Spark."""

from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.config.models import Config, FusionWeights, RankConfig
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import models_of
from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.ranking.calibration import shown_languages
from xlrec.kernels.ranking.fusion import best_first, fuse_scores
from xlrec.stages.rank.choosing import Chooser, Chosen
from xlrec.stages.rank.reasons import Reasons
from xlrec.stages.rank.users import Listed, Scored, Users
from xlrec.tables import FALLBACK, SOURCES

#: What a reason's kind can be, by number.
KINDS: Final = (*SOURCES, FALLBACK)
_SIMILAR, _COVISITED, _POPULAR, _FALLBACK = range(4)
_Floats = NDArray[np.float64]


class Ranker:
    """Lists of users on one index; without Spark, so that it can be timed and tried alone."""

    def __init__(self, index: ItemIndex, config: Config) -> None:
        """Opens nothing by itself: the index's arrays load on first use."""
        self.index, self.config, self.k = index, config.rank, config.k
        self.weights = weights_of(config.rank, index)
        models = models_of(index) if config.train.factors.enabled else None
        self.chooser = Chooser(index, config.rank, self.k, max(5 * self.k, 100))
        self.reasons = Reasons(index, models, config.rank.n_because)

    def lists_of(self, users: Users) -> Listed:
        """The users' lists; each depends on nothing but the user, the index and the config."""
        weights = self.weights[[self.index.market_num(market) for market in users.markets]]
        scored = self._scored(users, weights)
        return self._listed(users, weights, scored, self.chooser.choose_lists(users, scored))

    def _scored(self, users: Users, weights: _Floats) -> Scored:
        """The users' candidates by the weighted fusion; weights (n_users, n_sources)."""
        fused = fuse_scores(users.scores, users.indptr, weights)
        indptr, order = best_first(fused.scores, users.indptr)
        names: Any = pa.array(self.index.languages, users.languages.type)
        reads = pc.index_in(users.languages, names).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        readable = self.chooser.readable_items(users.nums[order], indptr, reads, users.languages_indptr)
        sizes = np.bincount(owners_of(indptr)[readable], minlength=len(users.markets))
        return Scored(fused, indptr_of(sizes), order[readable], reads)

    def _listed(self, users: Users, weights: _Floats, scored: Scored, chosen: Chosen) -> Listed:
        nums, columns, owners = chosen.nums, chosen.columns, owners_of(chosen.indptr)
        outside = columns < 0
        terms, scores = np.zeros((len(SOURCES), len(nums))), np.zeros(len(nums))
        terms[:, ~outside] = scored.fused.terms[:, columns[~outside]]
        scores[~outside] = scored.fused.scores[columns[~outside]]
        for user in np.unique(owners[outside]):
            mine = outside & (owners == user)
            popular = self.index.popularity(users.markets[user])[nums[mine]]
            terms[_POPULAR, mine] = weights[user, _POPULAR] * popular
        scores[outside] = terms[_POPULAR, outside]
        for first, last in pairwise(chosen.indptr.tolist()):
            np.minimum.accumulate(scores[first:last], out=scores[first:last])
        kinds = np.where((terms.max(axis=0) > 0) & ~outside, terms.argmax(axis=0), _FALLBACK)
        because = np.full((len(nums), self.config.n_because), -1, dtype=np.int64)
        for kind, named in ((_SIMILAR, self.reasons.similar_items), (_COVISITED, self.reasons.covisited_items)):
            rows = np.flatnonzero(kinds == kind)
            if self.config.n_because:
                because[rows] = named(users, owners[rows], nums[rows])
        bits, reads = self.chooser.bits, scored.reads
        shown = shown_languages(bits, nums, chosen.indptr, reads, users.languages_indptr)[1]
        return Listed(chosen.indptr, nums, scores, kinds, shown, because)


def weights_of(config: RankConfig, index: ItemIndex) -> _Floats:
    """(n_markets, n_sources) float64 weights in the order of `SOURCES`: of the config, else learnt, else defaults."""
    if config.weights is None and index.fusion is not None:
        weights = [index.fusion["markets"].get(market, index.fusion["joint"]) for market in index.markets]
    else:
        stated = config.weights or FusionWeights()
        weights = [[getattr(stated, source) for source in SOURCES]] * len(index.markets)
    return np.array(weights, dtype=np.float64)
