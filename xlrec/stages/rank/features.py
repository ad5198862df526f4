"""Features of a user's shortlist, for training and for serving alike: gathered from the index, made by the kernel."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.index import ItemIndex
from xlrec.index_learnt import Learnt, Models, places_of
from xlrec.kernels import ranking
from xlrec.kernels.calibration import shown_languages
from xlrec.kernels.csr import first_of, owners_of
from xlrec.stages.rank.users import Scored, Users
from xlrec.tables import SOURCES

_SIMILAR: Final = SOURCES.index("similar")


class Features:
    """Features on one index."""

    def __init__(self, index: ItemIndex, models: Models | None) -> None:
        """Opens nothing by itself: the index's arrays load on first use."""
        self.index, self.models = index, models
        self.bits = np.asarray(index.language_bits)

    def of(self, users: Users, scored: Scored, depth: int) -> NDArray[np.float64]:
        """(m, n_features) float64 of each user's best `depth` candidates in the fusion's order, user after user."""
        indptr, places = first_of(scored.indptr, depth)
        nums = users.nums[scored.order[places]]
        language = self._language(users, scored.reads, nums, indptr)
        served = places_of(self.models, users.markets)
        found = [np.zeros((0, len(ranking.NAMES)))]
        for user in range(len(served)):
            mine, own = slice(indptr[user], indptr[user + 1]), slice(users.indptr[user], users.indptr[user + 1])
            visits = slice(users.history_indptr[user], users.history_indptr[user + 1])
            learnt = self.models.each[served[user]] if self.models is not None else None
            told = np.stack([_fresh(learnt, nums[mine]), language[mine], _taught(learnt, nums[mine])], axis=1)
            prior = users.prior[own]
            found.append(
                ranking.features(
                    scored.scaled[:, own],
                    users.scores[_SIMILAR, own] - prior,
                    prior,
                    scored.order[places[mine]] - own.start,
                    self.index.gather(nums[mine]),
                    self.index.gather(users.history[visits]),
                    users.history_weights[visits],
                    told,
                )
            )
        return np.concatenate(found)

    def _language(
        self, users: Users, reads: NDArray[np.int64], nums: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Weight that the user gives to the language in which each item would be shown; 0 where it is none of hers."""
        places = shown_languages(self.bits, nums, indptr, reads, users.languages_indptr)[0]
        owners, found = owners_of(indptr), np.zeros(len(nums))
        hers = places < np.diff(users.languages_indptr)[owners]
        found[hers] = users.language_weights[(users.languages_indptr[owners] + places)[hers]]
        return found


def _fresh(learnt: Learnt | None, nums: NDArray[np.int32]) -> NDArray[np.float64]:
    """0 without a learnt model, which alone keeps the ages."""
    return np.zeros(len(nums)) if learnt is None else learnt.fresh[nums].astype(np.float64)


def _taught(learnt: Learnt | None, nums: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.ones(len(nums)) if learnt is None else learnt.taught[nums].astype(np.float64)
