"""Least-squares fit of the recommender: a `FactorModel` from logs and items, as arrays of one process."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from xlrec.config.models import FactorsConfig
from xlrec.kernels.history.factorisation import (
    Penalties,
    Preferences,
    factorise_preferences,
    mean_log_norm,
    whitening_matrix,
)
from xlrec.recommenders.factors import FactorModel, summed_preferences
from xlrec.training.recommender.logs import Items, Logs

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["fit_factor_model", "user_preferences"]

#: Quantiles of a market's event times that a model keeps, at most.
_MOMENTS: Final = 512
#: Length of an item's first factors, and deviation of the noise in each number of them.
_START, _NOISE = 0.3, 0.03


def fit_factor_model(
    logs: Logs,
    items: Items,
    config: FactorsConfig,
    *,
    markets: tuple[str, ...],
    item_ids: "pa.Array[Any]",
    facts: dict[str, Any],
    seed: int,
) -> FactorModel:
    """Model of the least-squares objective of `kernels.history.factorisation`, fitted to some logs.

    No log at all leaves a model whose items are all zero. λ of a side is `penalty` · √(`unseen` · rows of the other),
    so that it stands to the unseen pairs as in Rendle et al. 2022. `markets` names the rows of `items.eligible`,
    `facts` are more facts for the artefact, the seed is that of the noise in the first factors.
    """
    seen, n_items = user_preferences(logs), len(items.texts)
    n_users = int((np.diff(seen.indptr) > 0).sum())
    user, item = (config.penalty * float(np.sqrt(config.unseen * max(1, n))) for n in (n_items, n_users))
    penalties = Penalties(config.unseen, user, item, config.text_penalty, config.half_visits)
    with threadpool_limits(1):  # the order of sums, and so every bit, depends on the number of threads
        start = _start(items.texts, config.dim, seed)
        fitted = factorise_preferences(seen, items.texts, start, penalties, config.sweeps)
        whitening = whitening_matrix(fitted.items, config.unseen, user)
    item_users = np.bincount(seen.nums, minlength=n_items)
    rows = np.flatnonzero(item_users)
    moments, pace = _activity(logs, items)
    arrays = {
        "text_map": fitted.text_map.astype(np.float32),
        "factors": fitted.items[rows].astype(np.float32),
        "whitening": whitening.astype(np.float32),
        "log_norm": np.array([mean_log_norm(np.linalg.norm(fitted.items, axis=1), item_users)]),
        "moments": moments,
        "pace": pace,
    }
    own_facts = {
        "boost": config.boost, "text_dim": items.texts.shape[1], "markets": list(markets),
        "n_visits": len(logs.event_nums), "n_users": n_users,
    }  # fmt: skip
    order = np.argsort(np.array(item_ids.take(rows).to_pylist(), dtype=object)) if len(rows) else rows
    arrays["factors"] = np.ascontiguousarray(arrays["factors"][order])
    return FactorModel(arrays, item_ids.take(rows[order]), {**facts, **own_facts})


def user_preferences(logs: Logs) -> Preferences:
    """Distinct items of each user, ascending, with the confidence that their events give."""
    return summed_preferences(logs.event_users, logs.event_nums, logs.event_weights, logs.n_users)


def _start(texts: NDArray[np.float32], dim: int, seed: int) -> NDArray[np.float64]:
    """(n_items, dim) first factors: the texts' main directions, with some noise that breaks ties without any text."""
    whole = texts.astype(np.float64)
    _, directions = np.linalg.eigh(whole.T @ whole)
    first = whole @ directions[:, ::-1][:, :dim]
    first = np.pad(first, ((0, 0), (0, dim - first.shape[1])))
    norms = np.linalg.norm(first, axis=1, keepdims=True)
    noise = np.random.default_rng([seed, 31]).normal(size=first.shape)
    return np.asarray(_START * first / np.maximum(norms, 1e-9) + _NOISE * noise)


def _activity(logs: Logs, items: Items) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n_markets, n) quantiles of each market's event times, and (n_markets,) its events for each item sold."""
    n_markets, order = len(items.eligible), np.argsort(logs.event_micros, kind="stable")
    moments, pace = np.zeros((n_markets, _MOMENTS)), np.zeros(n_markets)
    for market in range(n_markets):
        mine = logs.event_micros[order[logs.event_markets[order] == market]]
        if len(mine):
            moments[market] = mine[(np.arange(_MOMENTS) * len(mine)) // _MOMENTS]
            pace[market] = len(mine) / max(1, int(items.eligible[market].sum()))
    return moments, pace
