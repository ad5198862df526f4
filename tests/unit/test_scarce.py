"""Scarce and inconsistent logs: none breaks the training, and every user gets a full list that suits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from worlds.market import planted

from xlrec.config.models import FactorsConfig, RetrieveConfig
from xlrec.kernels.history.visits import visits_from_events
from xlrec.training.recommender import fit_factor_model
from xlrec.training.recommender.logs import Items, Logs
from xlrec.training.recommender.scores import model_scores, served_vectors

K = 10
ITEMS, LOGS, TRUTH = planted()
CONFIG = FactorsConfig(dim=16)
IDS = pa.array([f"i{num:03d}" for num in range(len(ITEMS.texts))])
World = tuple[Items, Logs]


def logs(kept: NDArray[np.bool_], weights: NDArray[np.float64], markets: NDArray[np.int32] = LOGS.markets) -> Logs:
    """The planted logs with some events, other weights, and users in other markets."""
    users, nums, micros = LOGS.event_users[kept], LOGS.event_nums[kept], LOGS.event_micros[kept]
    strong = weights[kept]
    indptr = np.searchsorted(users, np.arange(LOGS.n_users + 1)).astype(np.int64)
    liked = strong > 0
    return Logs(
        visits_from_events(indptr, micros, nums, strong), markets, LOGS.reads, users[liked], nums[liked], micros[liked],
        strong[liked], markets[users[liked]],
    )  # fmt: skip


ALL = np.ones(len(LOGS.event_nums), dtype=np.bool_)
ONES = np.ones(len(ALL))
#: Place of each event in its user's history.
PLACE = np.arange(len(ALL)) - np.searchsorted(LOGS.event_users, LOGS.event_users)


def short() -> World:
    return ITEMS, logs(1 + LOGS.event_users % 2 > PLACE, ONES)


def textless(share: float) -> World:
    empty = np.random.default_rng(0).random(len(ITEMS.texts)) < share
    return ITEMS._replace(texts=np.where(empty[:, None], 0, ITEMS.texts).astype(np.float32)), logs(ALL, ONES)


def ten_users() -> World:
    markets = np.zeros(LOGS.n_users, dtype=np.int32)
    markets[:10], markets[10:20] = 1, 2
    return ITEMS, logs(ALL, ONES, markets)


def views_and_purchases() -> World:
    return ITEMS, logs(ALL, np.where(LOGS.event_markets == 0, 1.0, 3.0))


def thumbs_and_stars() -> World:
    # One market's poor ratings are seen only, another's are not told apart, a third has views.
    poor = (LOGS.event_markets == 0) & (PLACE % 3 == 2)
    return ITEMS, logs(ALL, np.where(poor, 0.0, 1.0))


def nothing_liked() -> World:
    return ITEMS, logs(ALL, np.where(LOGS.event_markets == 1, 0.0, 1.0))


#: What to try, and how many times as often as by chance a list holds a topic that the user likes, at least.
WORLDS: dict[str, tuple[Callable[[], World], float]] = {
    "histories of one or two items": (short, 1.5),
    "a third of the items without a text": (lambda: textless(0.3), 1.4),
    "no item with a text": (lambda: textless(1.1), 1.2),
    "markets with ten users": (ten_users, 1.6),
    "views here, purchases there": (views_and_purchases, 1.6),
    "ratings on several scales": (thumbs_and_stars, 1.6),
    "a market where nothing was liked": (nothing_liked, 1.4),
}


def lists_of(items: Items, some: Logs) -> tuple[Any, NDArray[np.int64], NDArray[np.float64]]:
    """The model, (n_users, K) item_nums and their scores."""
    model = fit_factor_model(some, items, CONFIG, markets=("M0", "M1", "M2"), item_ids=IDS, facts={}, seed=0)
    scores = model_scores(served_vectors(model, IDS, items), items, some, RetrieveConfig())(np.arange(some.n_users))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return model, order, np.take_along_axis(scores, order, axis=1)


@pytest.mark.parametrize("world", WORLDS)
def test_training_goes_through_and_every_user_has_a_full_list_of_what_suits(world: str) -> None:
    make, lift = WORLDS[world]
    items, some = make()
    model, lists, scores = lists_of(items, some)
    assert all(np.isfinite(array).all() for array in model.arrays.values())
    assert np.isfinite(scores).all()  # sold to the user, and not met before
    assert all(len(set(row)) == K for row in lists.tolist())
    history = np.diff(some.visits.indptr) > 0
    liked = np.array([np.isin(TRUTH["topic"], TRUTH["likes"][user]) for user in range(some.n_users)])
    hits = np.take_along_axis(liked, lists, axis=1).mean(axis=1)
    assert hits[history].mean() > lift * liked[history].mean()


def test_users_of_a_market_with_ten_are_served_as_well_as_those_of_the_large_one() -> None:
    items, some = ten_users()
    _, lists, _ = lists_of(items, some)
    liked = np.array([np.isin(TRUTH["topic"], TRUTH["likes"][user]) for user in range(some.n_users)])
    hits = np.take_along_axis(liked, lists, axis=1).mean(axis=1)
    assert hits[:20].mean() > 0.8 * hits[20:].mean()
