"""Weights of the sources: what is held out, markets that want opposite things, and the list beside its parts."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits
from worlds.market import planted

from xlrec.config.models import Config, FusionWeights
from xlrec.kernels.history.visits import visits_from_events
from xlrec.training.recommender.fusion_weights import NEW, FusionFit, fit_fusion_weights, smoothed
from xlrec.training.recommender.held_out import PARTS, HeldOutRanks, hold_out_newest
from xlrec.training.recommender.logs import Items, Logs, select_events

ITEMS, LOGS, _ = planted(n_users=300, n_items=120)
MARKETS = ("M0", "M1", "M2")
IDS = pa.array([f"i{num:03d}" for num in range(len(ITEMS.texts))])
START = FusionWeights()


def config(**fusion: Any) -> Config:
    told = {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}}
    return Config.model_validate(told | {"train": {"fusion": fusion, "factors": {"dim": 16}}})


def weighed(logs: Logs = LOGS, items: Items = ITEMS, **fusion: Any) -> FusionFit:
    return fit_fusion_weights(logs, items, config(**fusion), markets=MARKETS, item_ids=IDS)


def test_the_newest_choice_is_held_out_with_what_came_after_it_and_nothing_of_it_is_known() -> None:
    held = hold_out_newest(LOGS, ITEMS, 20, 0)
    assert np.bincount(LOGS.markets[held.users]).max() <= 20
    assert (np.diff(held.users) > 0).all()
    for user, num in zip(held.users, held.nums, strict=True):
        log, known = (one.visits.of_users(np.array([user])) for one in (LOGS, held.known))
        assert num not in known.nums
        assert len(known.nums) > 0
        assert known.micros.max() < log.micros[log.nums == num].min()
        assert set(log.nums[log.micros > log.micros[log.nums == num].min()]) <= set(known.nums) | {num}
        assert ITEMS.eligible[LOGS.markets[user], num]
        events = held.known.event_nums[held.known.event_users == user]
        assert set(events) == set(known.nums)
    others = ~np.isin(LOGS.event_users, held.users)
    assert others.sum() == (~np.isin(held.known.event_users, held.users)).sum()


def test_first_moments_that_only_a_held_out_event_told_are_not_known() -> None:
    met = np.full(len(ITEMS.texts), np.inf)
    np.minimum.at(met, LOGS.event_nums, LOGS.event_micros.astype(float))
    first = np.where(np.arange(len(met)) % 2, met - 5, met)  # every other one the catalogue tells
    held = hold_out_newest(LOGS, ITEMS._replace(first_micros=np.where(np.isfinite(first), first, np.nan)), 1000, 0)
    known = np.full(len(met), np.inf)
    np.minimum.at(known, held.known.event_nums, held.known.event_micros.astype(float))
    even = np.arange(0, len(met), 2)
    expected = np.where(np.isfinite(known), known, np.nan)[even]
    np.testing.assert_array_equal(held.items.first_micros[even], expected)
    odd = np.isfinite(met) & (np.arange(len(met)) % 2 == 1)
    np.testing.assert_array_equal(held.items.first_micros[odd], first[odd])


def test_a_part_alone_is_where_the_obvious_sort_puts_it() -> None:
    held = hold_out_newest(LOGS, ITEMS, 1000, 0)
    placing = HeldOutRanks(held, config(), MARKETS, IDS)
    popular = np.array([[float(part == "popular") for part in PARTS]])
    for market in range(3):
        rows = np.flatnonzero(LOGS.markets[held.users] == market)
        found = placing.market_ranks(market, popular, np.inf)[0]
        for place, row in zip(found, rows, strict=True):
            user, num = held.users[row], held.nums[row]
            seen = held.known.visits.of_users(np.array([user])).nums
            reads = (LOGS.reads[user] > 0) | (ITEMS.languages[seen] > 0).any(axis=0)
            readable = (ITEMS.languages[:, reads] > 0).any(axis=1)
            sold = ITEMS.eligible[market] & ~np.isin(np.arange(len(readable)), seen)
            score = placing.popularity[market] + readable
            before = (score > score[num]) | ((score == score[num]) & (np.arange(len(score)) < num))
            assert place == (before & sold).sum()


def test_no_part_alone_is_ahead_of_a_markets_list() -> None:
    found = weighed()
    whole, *groups = found.figures
    assert (whole.group, whole.weights) == ("", None)
    assert {one.group for one in groups} - {NEW} == set(MARKETS)
    for one in (whole, *(one for one in groups if one.group != NEW)):
        assert one.ahead == ()
        assert one.ndcg[0] > max(one.ndcg[1:]) - 0.05
    assert sum(one.n_users for one in groups if one.group != NEW) == whole.n_users


def test_a_market_with_logs_and_mute_texts_wants_the_sparse_source_and_one_with_few_logs_the_model() -> None:
    items, logs, _ = planted(n_users=900, n_items=150, n_markets=2, abroad=0.0, visits_per_user=12)
    texts, mute = items.texts.copy(), items.eligible[0]
    texts[mute] = np.random.default_rng(5).normal(size=(mute.sum(), texts.shape[1]))
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    owners = logs.visits.owners
    few = select_events(
        logs, (owners % 8 == 0) | (logs.markets[owners] == 0), (logs.event_users % 8 == 0) | (logs.event_markets == 0)
    )
    ids = pa.array([f"{num:03d}" for num in range(150)])
    found = fit_fusion_weights(few, items._replace(texts=texts), config(), markets=("M0", "M1"), item_ids=ids)
    assert found.joint == found.markets["M0"]
    assert found.markets["M0"][1] > 4 * found.markets["M1"][1]


@pytest.mark.parametrize("moved", [True, False])
def test_newest_items_tell_most_where_taste_moves_on_and_not_where_it_alternates(moved: bool) -> None:
    rng, topic = np.random.default_rng(1), np.arange(80) % 4
    rows = []
    for user in range(200):
        of = [rng.permutation(np.flatnonzero(topic == one)) for one in rng.permutation(4)[:2]]
        pattern = [0] * 7 + [1] * 4 if moved else [0, 1] * 5 + [0]
        rows += [(user, of[one][place], 10**9 * place) for place, one in enumerate(pattern)]
    users, nums, micros = (np.array(column) for column in zip(*rows, strict=True))
    texts = (np.eye(4)[topic] + 0.1 * rng.normal(size=(80, 4))).astype(np.float32)
    ones, everyone, nobody = np.ones(len(users)), np.zeros(200, np.int32), np.zeros((200, 0), np.float32)
    log = visits_from_events(np.arange(0, len(users) + 1, 11), micros, nums.astype(np.int32), ones)
    events = users.astype(np.int32), nums.astype(np.int32), micros, ones, everyone[users]
    items = Items(texts, np.zeros((80, 0), np.float32), np.ones((1, 80), np.bool_), np.full(80, np.nan))
    ids = pa.array([f"{num:02d}" for num in range(80)])
    found = fit_fusion_weights(Logs(log, everyone, nobody, *events), items, config(), markets=("M0",), item_ids=ids)
    assert found.half_life_items == (3 if moved else None)


def test_weights_are_judged_with_those_beside_them() -> None:
    lucky = np.array([1.0, 1, 7, 1, 4, 5, 4, 1])
    np.testing.assert_allclose(smoothed(lucky), [1, 3, 3, 4, 10 / 3, 13 / 3, 10 / 3, 2.5])


def test_same_bits_whatever_the_threads() -> None:
    with threadpool_limits(2):
        assert weighed() == weighed()


@pytest.mark.parametrize("kept", [0, 1])
def test_nobody_to_ask_leaves_the_defaults(kept: int) -> None:
    few = LOGS.event_users < kept
    logs = select_events(LOGS, LOGS.visits.owners < kept, few)
    one = logs.visits.nums[:1]
    logs = select_events(logs, np.isin(logs.visits.nums, one), np.isin(logs.event_nums, one))
    assert weighed(logs) == FusionFit((START.similar, START.covisited, START.popular), {}, None, ())
