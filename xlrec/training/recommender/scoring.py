"""Scores of a trained model for users of some logs, with the arrays and kernels that serve it, and what they chose."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config import PopularityConfig
from xlrec.kernels.attention import Visits, attend, queries
from xlrec.kernels.csr import indptr_of
from xlrec.kernels.profiles import histories
from xlrec.recommenders.hybrid import HybridModel, freshness, log_popularity
from xlrec.training.recommender.examples import popularity_at
from xlrec.training.recommender.logs import Items, Logs, first_meetings

_FAR: Final = 1e9
#: Scores of a block of users against all items, at most.
_MOST_SCORES: Final = 20_000_000


class Truth(NamedTuple):
    """What users chose after a moment: items that they had not met before."""

    users: NDArray[np.int64]
    """(n,) rows of the users, ascending."""
    indptr: NDArray[np.int64]
    nums: NDArray[np.int32]
    """CSR over `users`: item_nums, oldest first."""
    moment: float
    """Of which popularity and freshness are known."""

    def where(self, kept: NDArray[np.bool_]) -> "Truth":
        """Some of the users."""
        sizes = np.diff(self.indptr)
        nums = self.nums[np.repeat(kept, sizes)]
        return self._replace(users=self.users[kept], indptr=indptr_of(sizes[kept]), nums=nums)

    def blocks(self, n_items: int) -> "Iterator[Truth]":
        """Some users after others, as many as may be scored against all items at once."""
        size = max(1, _MOST_SCORES // max(1, n_items))
        for at in range(0, len(self.users), size):
            indptr = self.indptr[at : at + size + 1]
            nums = self.nums[indptr[0] : indptr[-1]]
            yield self._replace(users=self.users[at : at + size], indptr=indptr - indptr[0], nums=nums)


def inner_cuts(logs: Logs, share: float, min_users: int) -> tuple[NDArray[np.float64], float]:
    """(n_users,) moments from which each user's visits are held out, and the moment of which the rest is known.

    By time: the newest `share` of all visits. Where fewer than `min_users` of their users have visits before (logs of
    people who come once), each user's newest first meeting, of users who have met something before.
    """
    log = logs.visits
    cut = float(np.quantile(log.micros, 1 - share))
    truth = truth_after(logs, np.full(logs.n_users, cut), cut, logs.n_users, 0)
    if len(truth.users) >= min_users:
        return np.full(logs.n_users, cut), cut
    rows = first_meetings(log)
    newest = np.full(logs.n_users, -np.inf)
    np.maximum.at(newest, log.owners[rows], log.micros[rows])
    return np.where(np.isfinite(newest), newest, np.inf), float(log.micros.max()) + 1


def truth_after(logs: Logs, cuts: NDArray[np.float64], moment: float, most: int, seed: int) -> Truth:
    """First meetings at or after each user's cut, of at most that many users with visits before, drawn by the seed.

    Args:
        logs: All visits.
        cuts: (n_users,) microseconds.
        moment: Of which popularity shall be known.
        most: Users kept.
        seed: Of the draw.
    """
    log, owner = logs.visits, logs.visits.owners
    earlier = np.bincount(owner[log.micros < cuts[owner]], minlength=logs.n_users) > 0
    rows = first_meetings(log)
    rows = rows[(log.micros[rows] >= cuts[owner[rows]]) & earlier[owner[rows]]]
    return truth_of(log, rows, moment, most, [seed, 14])


def truth_of(log: Visits, rows: NDArray[np.int64], moment: float, most: int, seeds: list[int]) -> Truth:
    """Some visits as what their users chose, of at most that many users.

    Args:
        log: All visits.
        rows: Ascending rows of those that count.
        moment: Of which popularity shall be known.
        most: Users kept.
        seeds: Of the draw among more users.
    """
    owner = log.owners[rows]
    users = np.unique(owner)
    if len(users) > most:
        users = np.sort(np.random.default_rng(seeds).choice(users, most, replace=False))
        rows, owner = rows[np.isin(owner, users)], owner[np.isin(owner, users)]
    sizes = np.bincount(np.searchsorted(users, owner), minlength=len(users))
    return Truth(users, indptr_of(sizes), log.nums[rows], moment)


class Served(NamedTuple):
    """What the search multiplies: (n_items, dim) outputs, (n_items, dim + 1) inputs, (n_markets, n_items) priors."""

    outputs: NDArray[np.float32]
    inputs: NDArray[np.float32]
    priors: NDArray[np.float32]


def served(
    model: HybridModel, rows: NDArray[np.int64], items: Items, logs: Logs, moment: float, config: PopularityConfig
) -> Served:
    """The items as they are served at a moment.

    Args:
        model: Trained.
        rows: (n_items,) row of each item in the model's residuals, -1 where it was not taught.
        items: All items.
        logs: Whose events before the moment make popularity.
        moment: Microseconds.
        config: Of popularity.
    """
    popular = popularity_at(logs, len(items.eligible), len(items.texts), moment, config)
    priors = model.priors(log_popularity(popular, len(items.texts)), freshness(items.first_micros, moment), rows)
    return Served(model.outputs(items.texts, rows), model.inputs(items.texts, rows), priors)


def query_of(model: HybridModel, what: Served, logs: Logs, users: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, dim) the learnt part of the users' queries from all their visits in the logs."""
    some = logs.visits.of(users)
    history = histories(
        some.indptr, some.micros, some.nums, some.weights,
        max_history=max(1, model.attention.max_history), half_life_days=_FAR, half_life_items=_FAR,
    )  # fmt: skip
    weights = attend(some, history, what.inputs[:, -1].astype(np.float64), model.attention)
    scales = model.scales(np.diff(some.indptr))
    return queries(history, weights, what.inputs[history.nums, :-1], scales)


def scores_of(
    model: HybridModel, what: Served, items: Items, logs: Logs, users: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n, n_items) logits; -inf for what is not sold to a user, or was met already.

    Args:
        model: Trained.
        what: Of `served`.
        items: All items.
        logs: The users' histories, as they are known.
        users: (n,) rows.
    """
    found = query_of(model, what, logs, users) @ what.outputs.T.astype(np.float64)
    found += what.priors[logs.markets[users]]
    found += model.scalar("language") * (logs.reads[users] @ items.languages.T)
    return masked(found, items, logs, users)


def masked(scores: NDArray[np.float64], items: Items, logs: Logs, users: NDArray[np.int64]) -> NDArray[np.float64]:
    """The scores, in place, with -inf for what is not sold to a user, or was met already."""
    scores[~items.eligible[logs.markets[users]]] = -np.inf
    some = logs.visits.of(users)
    scores[some.owners, some.nums] = -np.inf
    return scores


def top(scores: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n, k) item_nums by score, ties by item_num, and how many of each row are finite."""
    n_items = scores.shape[1]
    k = min(k, n_items)
    least = np.partition(scores, n_items - k, axis=1)[:, n_items - k]
    found = np.zeros((len(scores), k), dtype=np.int64)
    for row in range(len(scores)):
        near = np.flatnonzero(scores[row] >= least[row])
        found[row] = near[np.argsort(-scores[row, near], kind="stable")[:k]]
    return found, np.isfinite(np.take_along_axis(scores, found, axis=1)).sum(axis=1)
