"""Scores of a trained model for users of some logs, with the arrays and kernels that serve it, and what they chose."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import PopularityConfig, RetrieveConfig
from xlrec.index.queries import recent
from xlrec.kernels.base.csr import entries_of, indptr_of
from xlrec.kernels.history.factorisation import Preferences, fold_in
from xlrec.kernels.history.profiles import Histories, histories
from xlrec.kernels.history.visits import Visits
from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender import preferences_of
from xlrec.training.recommender.logs import Items, Logs

Scores = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""(n, n_items) of users, by their rows."""
_DAY: Final = 86_400_000_000.0  # microseconds
#: What the score of an item is less by where its user cannot read it.
UNREADABLE: Final = 1e6
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

    def blocks(self, n_items: int) -> "Iterator[Truth]":
        """Some users after others, as many as may be scored against all items at once."""
        size = max(1, _MOST_SCORES // max(1, n_items))
        for at in range(0, len(self.users), size):
            indptr = self.indptr[at : at + size + 1]
            nums = self.nums[indptr[0] : indptr[-1]]
            yield self._replace(users=self.users[at : at + size], indptr=indptr - indptr[0], nums=nums)


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


def popularity_at(
    logs: Logs, n_markets: int, n_items: int, moment: float, config: PopularityConfig
) -> NDArray[np.float64]:
    """(n_markets, n_items) as `recommenders.popularity.fit` has it, from the events before the moment."""
    known = logs.event_micros < moment
    nums, markets = logs.event_nums[known], logs.event_markets[known]
    weights = logs.event_weights[known] * 0.5 ** ((moment - logs.event_micros[known]) / (_DAY * config.half_life_days))
    everywhere = np.bincount(nums, weights=weights, minlength=n_items)
    shares = everywhere / max(everywhere.sum(), 1e-300)
    cells = markets.astype(np.int64) * n_items + nums
    here = np.bincount(cells, weights=weights, minlength=n_markets * n_items).reshape(n_markets, n_items)
    total = here.sum(axis=1, keepdims=True) + config.prior_strength
    found: NDArray[np.float64] = (here + config.prior_strength * shares) / np.where(total > 0, total, 1.0)
    return found


class Served(NamedTuple):
    """What the search multiplies: (n_items, dim) float32 outputs and inputs."""

    outputs: NDArray[np.float32]
    inputs: NDArray[np.float32]


def served(model: FactorModel, item_ids: "pa.Array[Any]", items: Items) -> Served:
    """The items as they are served; markets are rows of the model's own.

    Args:
        model: Trained.
        item_ids: Of all items.
        items: All items.
    """
    factors = model.factors(items.texts, model.taught(item_ids))
    exposure = model.exposure(items.first_micros, items.eligible, tuple(model.facts["markets"]))
    return Served(model.outputs(factors, exposure), model.inputs(factors))


def scorer(what: Served, items: Items, logs: Logs, config: RetrieveConfig) -> Scores:
    """Scores of users by a model; -inf for what is not sold to a user, or was met already.

    Args:
        what: Of `served`.
        items: All items.
        logs: The users' histories, as they are known.
        config: How much of a history counts.
    """
    own, outputs = preferences_of(logs), what.outputs.T.astype(np.float64)

    def scores(users: NDArray[np.int64]) -> NDArray[np.float64]:
        found = queries(what, own, users, history_of(logs, users, config))
        return masked(found @ outputs, items, logs, users)

    return scores


def queries(
    what: Served, own: Preferences, users: NDArray[np.int64], history: Histories, half_life_items: float = np.inf
) -> NDArray[np.float64]:
    """(n, dim) of some users.

    Args:
        what: Of `served`.
        own: Of `preferences_of`, of all users.
        users: Their rows.
        history: Of these users.
        half_life_items: Of `recommenders.queries.recent`.
    """
    indptr, rows = entries_of(own.indptr, users)
    met = Preferences(indptr, own.nums[rows], own.strengths[rows])
    return fold_in(recent(met, history, half_life_items), what.inputs[history.nums]).queries


def history_of(read: Logs, users: NDArray[np.int64], config: RetrieveConfig) -> Histories:
    """What of some users' visits weighs, and how much, as `stages.retrieve` has it."""
    some = read.visits.of(users)
    return histories(
        some.indptr, some.micros, some.nums, some.weights, max_history=config.max_history,
        half_life_days=config.half_life_days, half_life_items=config.half_life_items,
    )  # fmt: skip


def masked(scores: NDArray[np.float64], items: Items, logs: Logs, users: NDArray[np.int64]) -> NDArray[np.float64]:
    """The scores, in place, with -inf for what is not sold to a user, or was met already; the unreadable come last."""
    scores[~items.eligible[logs.markets[users]]] = -np.inf
    scores[~readable_by(items, logs, users)] -= UNREADABLE
    some = logs.visits.of(users)
    scores[some.owners, some.nums] = -np.inf
    return scores


def readable_by(items: Items, logs: Logs, users: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n, n_items) in a language that the user reads or that an item of her history has; all, to who reads nothing."""
    some, reads = logs.visits.of(users), logs.reads[users] > 0
    restricted = np.asarray(reads.any(axis=1))
    np.logical_or.at(reads, some.owners, items.languages[some.nums] > 0)
    found = np.asarray(reads.astype(np.float32) @ items.languages.T) > 0
    return np.asarray(found | ~restricted[:, None])


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
