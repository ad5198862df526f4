"""Features of a user's shortlist, for training and for serving alike: gathered from the index, made by the kernel."""

import numpy as np
from numpy.typing import NDArray

from xlrec.index import ItemIndex
from xlrec.index_learnt import Learnt, Models
from xlrec.kernels import ranking
from xlrec.kernels.calibration import shown_languages
from xlrec.stages.rank.users import Scored, User
from xlrec.tables import SOURCES


class Features:
    """Features on one index."""

    def __init__(self, index: ItemIndex, models: Models | None) -> None:
        """Opens nothing by itself: the index's arrays load on first use."""
        self.index, self.models = index, models
        self.bits = np.asarray(index.language_bits)

    def of(self, user: User, scored: Scored, depth: int) -> NDArray[np.float64]:
        """(min(depth, n), n_features) float64 of the best `depth` candidates in the fusion's order."""
        shortlist = scored.order[:depth]
        nums = user.nums[shortlist]
        similar = user.scores[SOURCES.index("similar")]
        prior = user.prior if len(user.prior) == len(similar) else np.zeros(len(similar))
        texts, history = self.index.gather(nums), self.index.gather(user.history)
        weights = np.asarray(user.history_weights, dtype=np.float64)
        learnt = self.models.of(user.market) if self.models is not None else None
        language = self._language(user, scored.reads, nums)
        told = np.stack([_fresh(learnt, nums), language, _taught(learnt, nums)], axis=1)
        return ranking.features(scored.scaled, similar - prior, prior, shortlist, texts, history, weights, told)

    def _language(self, user: User, reads: NDArray[np.int64], nums: NDArray[np.int32]) -> NDArray[np.float64]:
        """Weight that the user gives to the language in which each item would be shown; 0 where it is none of hers."""
        weights = np.append(np.asarray(user.language_weights, dtype=np.float64), 0.0)
        return weights[shown_languages(self.bits, nums, reads)[0]]


def _fresh(learnt: Learnt | None, nums: NDArray[np.int32]) -> NDArray[np.float64]:
    """0 without a learnt model, which alone keeps the ages."""
    return np.zeros(len(nums)) if learnt is None else learnt.fresh[nums].astype(np.float64)


def _taught(learnt: Learnt | None, nums: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.ones(len(nums)) if learnt is None else learnt.taught[nums].astype(np.float64)
