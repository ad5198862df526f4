"""A learnt ranker between the fusion and the greedy: a slice of users at once, the same lists whatever the slice."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.csr import first_of
from xlrec.kernels.ranking import by_source, relative
from xlrec.recommenders.ranking import RankingModel
from xlrec.stages.rank.features import Features
from xlrec.stages.rank.users import Scored, Users
from xlrec.tables import SOURCES


class Shortlists(NamedTuple):
    """What the ranker sees of the users, one after another."""

    indptr: NDArray[np.int64]
    """(n_users + 1,) of the others."""
    positions: NDArray[np.int64]
    """(m,) of the candidates, best fused first."""
    features: NDArray[np.float64]
    """(m, n_features)."""


class Reranker:
    """Scores, order and terms of shortlists by a ranker."""

    def __init__(self, model: RankingModel, features: Features, depth: int) -> None:
        """`depth`: candidates of a user that the ranker sees, best fused first."""
        self.model, self.features, self.depth = model, features, depth

    def shortlists(self, users: Users, scored: Scored) -> Shortlists:
        """The shortlists of the users."""
        indptr, places = first_of(scored.indptr, self.depth)
        return Shortlists(indptr, scored.order[places], self.features.of(users, scored, self.depth))

    def reordered(self, scored: Scored, shortlists: Shortlists) -> Scored:
        """The same with the ranker's scores and order; ties keep the fusion's order."""
        learnt = self.model.scores(shortlists.features)
        scores, order = scored.fused.scores.copy(), scored.order.copy()
        for user in range(len(scored.indptr) - 1):
            mine = slice(scored.indptr[user], scored.indptr[user + 1])
            seen = slice(shortlists.indptr[user], shortlists.indptr[user + 1])
            found = relative(learnt[seen], scored.fused.scores[scored.order[mine]], self.depth)
            scores[scored.order[mine]] = found
            order[mine] = scored.order[mine][np.argsort(-found, kind="stable")]
        return scored._replace(fused=scored.fused._replace(scores=scores), order=order)

    def explained(self, scored: Scored, shortlists: Shortlists, columns: NDArray[np.int64]) -> Scored:
        """The same with the ranker's terms for the candidates that are listed (`columns`) and that it saw."""
        terms = scored.fused.terms.copy()
        rows = np.full(terms.shape[1], -1)
        rows[shortlists.positions] = np.arange(len(shortlists.positions))
        seen = columns[columns >= 0]
        seen = seen[rows[seen] >= 0]
        terms[:, seen] = by_source(self.model.contributions(shortlists.features[rows[seen]]), SOURCES)
        return scored._replace(fused=scored.fused._replace(terms=terms))
