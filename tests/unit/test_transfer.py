"""Transfer on planted worlds of six markets and languages: what a source teaches, and what a poisoned one does not."""

import re
from functools import lru_cache

import numpy as np
import pytest
from worlds.market import planted
from worlds.transfers import (
    CONFIG,
    IDS,
    MARKETS,
    SHARES,
    SOURCES,
    TARGET,
    WORLD,
    mean_ndcg,
    ndcg_difference,
    planted_experiment,
)

from xlrec.training.recommender.logs import Logs, logs_before
from xlrec.training.transfer import FEW_SHOT, KEPT, POPULARITY, TEXT, ZERO_SHOT, Experiment
from xlrec.training.transfer.domains import domains_by_market
from xlrec.training.transfer.figures import Key
from xlrec.training.transfer.strategies import JOINT, SOURCE_ONLY, STRATEGIES, TARGET_ONLY


@lru_cache(maxsize=1)
def healthy() -> Experiment:
    items, logs, _ = planted(**WORLD)
    made = planted_experiment(domains_by_market(logs, items, SOURCES, TARGET))
    made.run()
    return made


def poisoned(logs: Logs, n_items: int) -> Logs:
    """The logs with items drawn at random in all markets but the target."""
    rng, log = np.random.default_rng(9), logs.visits
    nums, events = log.nums.copy(), logs.event_nums.copy()
    bad = (logs.markets != TARGET[0])[log.owners]
    nums[bad] = rng.integers(0, n_items, bad.sum())
    bad = (logs.markets != TARGET[0])[logs.event_users]
    events[bad] = rng.integers(0, n_items, bad.sum())
    return logs._replace(visits=log._replace(nums=nums), event_nums=events)


def test_with_no_logs_the_target_reaches_two_thirds_of_what_all_of_its_logs_would_give() -> None:
    made = healthy()
    best = max(mean_ndcg(made, (way.name, 1.0)) for way in STRATEGIES)
    assert mean_ndcg(made, (ZERO_SHOT, 0.0)) >= 0.66 * best


@pytest.mark.parametrize("other", [(POPULARITY, 1.0), (TEXT, 0.0)])
def test_with_no_logs_it_is_ahead_of_the_target_s_popularity_and_of_the_texts_alone(other: Key) -> None:
    assert ndcg_difference(healthy(), (ZERO_SHOT, 0.0), other).low > 0


def test_with_a_twentieth_of_the_logs_it_is_ahead_of_those_alone_and_not_behind_none() -> None:
    made = healthy()
    assert ndcg_difference(made, (FEW_SHOT, 0.05), (TARGET_ONLY.name, 0.05)).value > 0
    assert ndcg_difference(made, (FEW_SHOT, 0.05), (ZERO_SHOT, 0.0)).value >= 0
    assert mean_ndcg(made, (JOINT.name, 0.05)) > mean_ndcg(made, (ZERO_SHOT, 0.0))


@pytest.mark.parametrize("share", [0.05, 1.0])
def test_what_is_kept_is_never_behind_by_more_than_the_interval(share: float) -> None:
    made = healthy()
    for other in ((ZERO_SHOT, 0.0), (TARGET_ONLY.name, share)):
        assert ndcg_difference(made, (KEPT, share), other).high >= 0


def test_a_source_of_random_interactions_does_the_target_no_harm() -> None:
    items, logs, _ = planted(**{**WORLD, "n_users": 2400})
    made = planted_experiment(domains_by_market(poisoned(logs, len(items.texts)), items, SOURCES, TARGET))
    found = made.run()
    for share in SHARES:
        assert ndcg_difference(made, (KEPT, share), (TARGET_ONLY.name, share)).high >= 0
    margin, low, _ = found.choices[-1].ahead[SOURCE_ONLY.name]
    assert margin > low > 0


def test_nothing_of_the_target_is_in_the_source_model() -> None:
    items, logs, _ = planted(n_users=200, n_items=400, n_markets=6, seed=1)
    other = logs.event_nums.copy()
    mine = logs.markets[logs.event_users] == TARGET[0]
    other[mine] = 399 - other[mine]
    changed = logs._replace(event_nums=other, visits=logs.visits._replace(nums=other))
    found = [planted_experiment(domains_by_market(one, items, SOURCES, TARGET)) for one in (logs, changed)]
    assert len({made.trainer.fit_strategy(SOURCE_ONLY, None).fingerprint for made in found}) == 1
    everyone = np.ones(200, dtype=np.bool_)
    told = [made.trainer.domains.training_logs(everyone, source=False).event_nums for made in found]
    assert not np.array_equal(*told)


def test_a_target_without_logs_keeps_the_source_and_measures_nothing() -> None:
    items, logs, _ = planted(n_users=200, n_items=400, n_markets=6, seed=1)
    kept = logs.markets != TARGET[0]
    made = planted_experiment(domains_by_market(logs_before(logs, kept), items, SOURCES, TARGET))
    found = made.run()
    assert (found.choices, found.figures, found.n_users) == ([], [], 0)
    assert made.model().fingerprint == made.trainer.fit_strategy(SOURCE_ONLY, None).fingerprint


def test_time_left_is_said_and_no_item_or_user_is() -> None:
    items, logs, _ = planted(n_users=200, n_items=400, n_markets=6, seed=1)
    told: list[str] = []
    made = Experiment(domains_by_market(logs, items, SOURCES, TARGET), IDS, MARKETS, CONFIG, (1.0,), told.append)
    made.run()
    made.model()
    assert all(re.search(r"\d+/5 trainings · about [\d,]+ s left", line) for line in told)
    assert "5/5" in told[-1]
    assert not any("i0" in line for line in told)
