"""Scores of a trained model for users of some logs, by the arrays and kernels that serve it, and what users chose."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import PopularityConfig, RetrieveConfig
from xlrec.index.queries import recent_preferences
from xlrec.kernels.base.csr import entries_of, indptr_of
from xlrec.kernels.history.factorisation import Preferences, fold_in
from xlrec.kernels.history.profiles import Histories, weighted_histories
from xlrec.kernels.history.visits import Visits
from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender import user_preferences
from xlrec.training.recommender.logs import Items, Logs

Scores = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""(n_users, n_items) float64 scores of users, by their (n_users,) int64 rows."""
_DAY: Final = 86_400_000_000.0  # microseconds
#: Penalty on the score of an item that its user cannot read.
UNREADABLE: Final = 1e6
#: Scores of a block of users against all items, at most.
_MOST_SCORES: Final = 20_000_000


class Truth(NamedTuple):
    """Items that users chose after a moment, and had not met before."""

    users: NDArray[np.int64]
    """(n_users,) int64 rows of the users, ascending."""
    indptr: NDArray[np.int64]
    """(n_users + 1,) int64 bounds of each user in `nums`."""
    nums: NDArray[np.int32]
    """(n,) int32 item_nums, oldest first within a user."""
    moment: float
    """Microseconds; popularity is counted before it."""

    def blocks(self, n_items: int) -> "Iterator[Truth]":
        """The users in blocks, each as large as may be scored against all items at once."""
        size = max(1, _MOST_SCORES // max(1, n_items))
        for at in range(0, len(self.users), size):
            indptr = self.indptr[at : at + size + 1]
            nums = self.nums[indptr[0] : indptr[-1]]
            yield self._replace(users=self.users[at : at + size], indptr=indptr - indptr[0], nums=nums)


def sample_truth(visits: Visits, rows: NDArray[np.int64], moment: float, most: int, seeds: list[int]) -> Truth:
    """Visits at (n,) int64 ascending rows as the truth of their users; of more than `most` users a sample."""
    owners = visits.owners[rows]
    users = np.unique(owners)
    if len(users) > most:
        users = np.sort(np.random.default_rng(seeds).choice(users, most, replace=False))
        kept = np.isin(owners, users)
        rows, owners = rows[kept], owners[kept]
    sizes = np.bincount(np.searchsorted(users, owners), minlength=len(users))
    return Truth(users, indptr_of(sizes), visits.nums[rows], moment)


def popularity_at(
    logs: Logs, n_markets: int, n_items: int, moment: float, config: PopularityConfig
) -> NDArray[np.float64]:
    """(n_markets, n_items) float64 popularity as `popularity.fit_popularity`, from events before the moment."""
    known = logs.event_micros < moment
    nums, markets = logs.event_nums[known], logs.event_markets[known]
    weights = logs.event_weights[known] * 0.5 ** ((moment - logs.event_micros[known]) / (_DAY * config.half_life_days))
    everywhere = np.bincount(nums, weights=weights, minlength=n_items)
    shares = everywhere / max(everywhere.sum(), 1e-300)
    cells = markets.astype(np.int64) * n_items + nums
    here = np.bincount(cells, weights=weights, minlength=n_markets * n_items).reshape(n_markets, n_items)
    total = here.sum(axis=1, keepdims=True) + config.prior_strength
    popularity: NDArray[np.float64] = (here + config.prior_strength * shares) / np.where(total > 0, total, 1.0)
    return popularity


class ServedVectors(NamedTuple):
    """Vectors of the items as they are served."""

    outputs: NDArray[np.float32]  # (n_items, dim), as candidates
    inputs: NDArray[np.float32]  # (n_items, dim), as parts of a history


def served_vectors(model: FactorModel, item_ids: "pa.Array[Any]", items: Items) -> ServedVectors:
    """Vectors of all items by a model, whose markets are the rows of `items.eligible`."""
    factors = model.item_factors(items.texts, model.factor_rows(item_ids))
    exposure = model.item_exposure(items.first_micros, items.eligible, tuple(model.facts["markets"]))
    return ServedVectors(model.candidate_vectors(factors, exposure), model.history_vectors(factors))


def model_scores(vectors: ServedVectors, items: Items, logs: Logs, config: RetrieveConfig) -> Scores:
    """Scores of users by a model and their histories; -inf for items not sold to a user, or met already."""
    preferences, outputs = user_preferences(logs), vectors.outputs.T.astype(np.float64)

    def scores(users: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n_users, n_items) float64 masked scores of (n_users,) int64 rows."""
        queries = user_queries(vectors, preferences, users, user_histories(logs, users, config))
        return mask_scores(queries @ outputs, items, logs, users)

    return scores


def user_queries(
    vectors: ServedVectors,
    preferences: Preferences,
    users: NDArray[np.int64],
    history: Histories,
    half_life_items: float = np.inf,
) -> NDArray[np.float64]:
    """(n_users, dim) float64 queries of (n_users,) int64 rows; preferences are of all users, the history of these."""
    indptr, rows = entries_of(preferences.indptr, users)
    own = Preferences(indptr, preferences.nums[rows], preferences.strengths[rows])
    return fold_in(recent_preferences(own, history, half_life_items), vectors.inputs[history.nums]).queries


def user_histories(logs: Logs, users: NDArray[np.int64], config: RetrieveConfig) -> Histories:
    """Weighted histories of (n_users,) int64 rows, as `stages.retrieve` has them."""
    visits = logs.visits.of_users(users)
    return weighted_histories(
        visits.indptr, visits.micros, visits.nums, visits.weights, max_history=config.max_history,
        half_life_days=config.half_life_days, half_life_items=config.half_life_items,
    )  # fmt: skip


def mask_scores(scores: NDArray[np.float64], items: Items, logs: Logs, users: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n_users, n_items) float64 scores: -inf where not sold or met already; unreadable items last.

    The (n_users, n_items) float64 `scores` are changed in place and returned; `users` are (n_users,) int64 rows.
    """
    scores[~items.eligible[logs.markets[users]]] = -np.inf
    scores[~readable_items(items, logs, users)] -= UNREADABLE
    visits = logs.visits.of_users(users)
    scores[visits.owners, visits.nums] = -np.inf
    return scores


def readable_items(items: Items, logs: Logs, users: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n_users, n_items) bool: the item has a language that the user reads or that her history has.

    True of all items for users who read nothing; `users` are (n_users,) int64 rows.
    """
    visits, reads = logs.visits.of_users(users), logs.reads[users] > 0
    restricted = np.asarray(reads.any(axis=1))
    np.logical_or.at(reads, visits.owners, items.languages[visits.nums] > 0)
    readable = np.asarray(reads.astype(np.float32) @ items.languages.T) > 0
    return np.asarray(readable | ~restricted[:, None])


def top_items(scores: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n_users, k) int64 item_nums by score, ties by item_num, and (n_users,) int64 number of finite ones.

    Scores are (n_users, n_items) float64; there are fewer columns where there are fewer items.
    """
    n_items = scores.shape[1]
    k = min(k, n_items)
    least = np.partition(scores, n_items - k, axis=1)[:, n_items - k]
    nums = np.zeros((len(scores), k), dtype=np.int64)
    for row in range(len(scores)):
        near = np.flatnonzero(scores[row] >= least[row])
        nums[row] = near[np.argsort(-scores[row, near], kind="stable")[:k]]
    return nums, np.isfinite(np.take_along_axis(scores, nums, axis=1)).sum(axis=1)
