"""Scores of a trained model for users of some logs, with the arrays and kernels that serve it, and their NDCG."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config import PopularityConfig
from xlrec.kernels.attention import Visits, attend, queries
from xlrec.kernels.profiles import histories
from xlrec.recommenders.hybrid import HybridModel, freshness, log_popularity
from xlrec.training.recommender.examples import popularity_at
from xlrec.training.recommender.logs import Items, Logs, first_meetings

_FAR: Final = 1e9


class Truth(NamedTuple):
    """What users chose after a moment: items that they had not met before."""

    users: NDArray[np.int64]
    """(n,) rows of the users, ascending."""
    indptr: NDArray[np.int64]
    nums: NDArray[np.int32]
    """CSR over `users`: item_nums, oldest first."""
    moment: float
    """Of which popularity and freshness are known."""


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
    owner = np.repeat(np.arange(logs.n_users), np.diff(log.indptr))
    newest = np.full(logs.n_users, -np.inf)
    np.maximum.at(newest, owner[rows], log.micros[rows])
    return np.where(np.isfinite(newest), newest, np.inf), float(log.micros.max()) + 1


def truth_after(
    logs: Logs, cuts: NDArray[np.float64], moment: float, most: int, seed: int, users: NDArray[np.bool_] | None = None
) -> Truth:
    """First meetings at or after each user's cut, of at most that many users with visits before, drawn by the seed.

    Args:
        logs: All visits.
        cuts: (n_users,) microseconds.
        moment: Of which popularity shall be known.
        most: Users kept.
        seed: Of the draw.
        users: (n_users,) who may be among them; None: all.
    """
    log = logs.visits
    owner = np.repeat(np.arange(logs.n_users), np.diff(log.indptr))
    earlier = np.bincount(owner[log.micros < cuts[owner]], minlength=logs.n_users) > 0
    allowed = earlier if users is None else earlier & users
    rows = first_meetings(log)
    rows = rows[(log.micros[rows] >= cuts[owner[rows]]) & allowed[owner[rows]]]
    found = np.unique(owner[rows])
    if len(found) > most:
        found = np.sort(np.random.default_rng([seed, 14]).choice(found, most, replace=False))
        rows = rows[np.isin(owner[rows], found)]
    sizes = np.bincount(np.searchsorted(found, owner[rows]), minlength=len(found))
    return Truth(found, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), log.nums[rows], moment)


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
    some = visits_of(logs.visits, users)
    history = histories(
        some.indptr, some.micros, some.nums, some.weights,
        max_history=max(1, model.attention.max_history), half_life_days=_FAR, half_life_items=_FAR,
    )  # fmt: skip
    weights = attend(some, history, what.inputs[:, -1].astype(np.float64), model.attention)
    scales = model.scales(np.diff(some.indptr))
    return queries(history, weights, what.inputs[history.nums, :-1], scales)


def visits_of(log: Visits, users: NDArray[np.int64]) -> Visits:
    """The visits of some users, in their order."""
    sizes = log.indptr[users + 1] - log.indptr[users]
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - log.indptr[users], sizes)
    return Visits(indptr, log.nums[rows], log.micros[rows], log.weights[rows])


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
    some = visits_of(logs.visits, users)
    scores[np.repeat(np.arange(len(users)), np.diff(some.indptr)), some.nums] = -np.inf
    return scores


def ndcg(scores: NDArray[np.float64], truth: Truth, first: int, k: int = 10) -> NDArray[np.float64]:
    """(n,) NDCG@k of the users `first`, `first` + 1, … of the truth; ties by item_num; gains of one.

    The denominator is the best that k places can hold, as in `kernels.metrics.ndcg`.
    """
    k = min(k, scores.shape[1])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    gains = 1 / np.log2(np.arange(2, k + 2))
    found = np.zeros(len(scores))
    for row in range(len(scores)):
        relevant = truth.nums[truth.indptr[first + row] : truth.indptr[first + row + 1]]
        hits = np.isin(order[row], relevant) & np.isfinite(scores[row, order[row]])
        found[row] = gains[hits].sum() / gains[: min(k, len(relevant))].sum()
    return found
