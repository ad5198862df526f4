"""A learnt ranker between the fusion and the greedy: a slice of users at once, the same lists whatever the slice."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.ranking import NAMES, by_source, relative
from xlrec.recommenders.ranking import RankingModel
from xlrec.stages.rank.features import Features
from xlrec.stages.rank.users import Scored, User
from xlrec.tables import SOURCES


class Shortlist:
    """What the ranker sees of one user."""

    def __init__(self, positions: NDArray[np.int64], features: NDArray[np.float64]) -> None:
        """`positions` (m,) of the candidates, best fused first; `features` (m, n_features)."""
        self.positions, self.features = positions, features

    def rows(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) row of each candidate in the shortlist; -1 where it is not in it."""
        order = np.argsort(self.positions)
        at = np.searchsorted(self.positions, columns, sorter=order)
        found = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(columns), dtype=np.int64)
        there = self.positions[found] == columns if len(order) else np.zeros(len(columns), dtype=np.bool_)
        return np.where(there, found, -1)


class Reranker:
    """Scores, order and terms of shortlists by a ranker."""

    def __init__(self, model: RankingModel, features: Features, depth: int) -> None:
        """`depth`: candidates of a user that the ranker sees, best fused first."""
        self.model, self.features, self.depth = model, features, depth

    def shortlists(self, users: Sequence[User], scored: Sequence[Scored]) -> list[Shortlist]:
        """The shortlist of each user."""
        return [
            Shortlist(one.order[: self.depth], self.features.of(user, one, self.depth))
            for user, one in zip(users, scored, strict=True)
        ]

    def reordered(self, scored: Sequence[Scored], shortlists: Sequence[Shortlist]) -> list[Scored]:
        """The same with the ranker's scores and order; ties keep the fusion's order."""
        sizes = [len(one.positions) for one in shortlists]
        scores = self.model.scores(_stacked([one.features for one in shortlists]))
        return [
            _reordered(one, part, self.depth)
            for one, part in zip(scored, np.split(scores, np.cumsum(sizes)[:-1]), strict=True)
        ]

    def explained(
        self, scored: Sequence[Scored], shortlists: Sequence[Shortlist], listed: Sequence[NDArray[np.int64]]
    ) -> list[Scored]:
        """The same with the ranker's terms for the candidates that are listed and that it saw."""
        rows = [one.rows(columns) for one, columns in zip(shortlists, listed, strict=True)]
        seen = [one.features[row[row >= 0]] for one, row in zip(shortlists, rows, strict=True)]
        terms = by_source(self.model.contributions(_stacked(seen)), SOURCES)
        parts = np.split(terms, np.cumsum([len(one) for one in seen])[:-1], axis=1)
        found = []
        for one, row, columns, part in zip(scored, rows, listed, parts, strict=True):
            mixed = one.fused.terms.copy()
            mixed[:, columns[row >= 0]] = part
            found.append(one._replace(fused=one.fused._replace(terms=mixed)))
        return found


def _stacked(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros((0, len(NAMES))), *parts])


def _reordered(scored: Scored, scores: NDArray[np.float64], depth: int) -> Scored:
    order = scored.order
    found = relative(scores, scored.fused.scores[order], depth)
    whole = scored.fused.scores.copy()
    whole[order] = found
    order = order[np.argsort(-found, kind="stable")]
    return scored._replace(fused=scored.fused._replace(scores=whole), order=order)
