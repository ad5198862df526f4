"""The guard: a market whose taste contradicts the others' is not served by what they teach; where they agree, it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from planted_market import planted

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.recommenders import hybrid
from xlrec.training.recommender import guard
from xlrec.training.recommender.card import card
from xlrec.training.recommender.choosing import simplest
from xlrec.training.recommender.guard import JOINT, TARGET_ONLY, learn_markets, market_task
from xlrec.training.recommender.inner import try_epochs
from xlrec.training.recommender.logs import Items, Logs, only
from xlrec.training.recommender.loop import Task, measure
from xlrec.training.recommender.scoring import truth_after

NAMES = ("M0", "M1", "M2")
CONFIG = HybridConfig(
    dim=16, epochs=6, batch=128, spans=2, residual_rate=0.005, adapter_rate=0.005, min_validation_users=150,
    validation_share=0.2,
)  # fmt: skip


def say(_: str) -> None:
    """Progress that nobody reads."""


def contrary(market: int, n_users: int = 450) -> tuple[Items, Logs]:
    """A world in which one market's users never stay with a topic: each visit goes on to the next one's items.

    Everybody else stays with two topics. So what the others teach, that the next item is like the last, is wrong there.
    """
    items, logs, told = planted(n_users=n_users, n_items=120, seed=3, abroad=1.0)
    rng, owner = np.random.default_rng(4), logs.visits.owners
    of_topic = [np.flatnonzero(told["topic"] == topic) for topic in range(8)]
    steps = np.arange(len(owner)) - logs.visits.indptr[owner] + owner
    moved = np.array([rng.choice(of_topic[step % 8]) for step in steps], dtype=np.int32)
    nums = np.where(logs.markets[owner] == market, moved, logs.visits.nums)
    return items, logs._replace(visits=logs.visits._replace(nums=nums), event_nums=nums)


def task_of(items: Items, logs: Logs, **config: Any) -> Task:
    return Task(logs, items, CONFIG.model_copy(update=config), PopularityConfig(), seed=0)


def ids_of(items: Items) -> Any:
    return pa.array([f"i{num:03d}" for num in range(len(items.texts))])


@pytest.fixture(scope="module")
def torn() -> tuple[Task, Any, guard.Taught]:
    """A task where market 2 contradicts the others, its ids, and what was learnt."""
    task = task_of(*contrary(2))
    return task, ids_of(task.items), learn_markets(task, ids_of(task.items), NAMES, {}, print)


def test_a_market_that_contradicts_the_others_gets_a_model_of_its_own(torn: tuple[Task, Any, guard.Taught]) -> None:
    _, _, taught = torn
    verdicts = {one["market"]: one for one in taught.model.facts["guard"]}
    assert set(verdicts) == set(NAMES)
    assert verdicts["M2"]["kept"] != JOINT
    mean, low, _ = verdicts["M2"]["ahead"][JOINT]
    assert mean == pytest.approx(
        verdicts["M2"]["inner"][verdicts["M2"]["kept"]] - verdicts["M2"]["inner"][JOINT], abs=1e-5
    )
    assert low > 0
    assert 2 in taught.markets


def test_its_own_model_is_better_on_what_no_training_saw(torn: tuple[Task, Any, guard.Taught]) -> None:
    task, ids, _ = torn
    newest = np.full(task.logs.n_users, -np.inf)
    np.maximum.at(newest, task.logs.visits.owners, task.logs.visits.micros)
    truth = truth_after(task.logs, newest, float(newest.max()) + 1, 10_000, 0)
    known = replace(task, logs=only(task.logs, np.ones(task.logs.n_users, dtype=np.bool_), newest))
    taught = learn_markets(known, ids, NAMES, {}, say)
    truth = truth.where(task.logs.markets[truth.users] == 2)
    own, joint = (measure(one, one.taught(ids), known, truth) for one in (taught.markets[2], taught.model))
    gain = own - joint
    assert gain.mean() > 3 * gain.std() / len(gain) ** 0.5


def test_markets_that_agree_are_served_together() -> None:
    items, logs, _ = planted(n_users=450, n_items=120, seed=3, abroad=1.0)
    taught = learn_markets(task_of(items, logs), ids_of(items), NAMES, {}, say)
    assert [one["kept"] for one in taught.model.facts["guard"]].count(JOINT) >= 1
    assert all(one["kept"] != TARGET_ONLY for one in taught.model.facts["guard"])


def test_no_guard_no_second_market_or_no_users_leave_one_model() -> None:
    items, logs, _ = planted(n_users=200, n_items=60)
    for task in (
        task_of(items, logs, guard=False),
        task_of(items, logs._replace(markets=np.zeros_like(logs.markets))),
        task_of(items, logs, min_validation_users=10_000),
    ):
        taught = learn_markets(task, ids_of(items), NAMES, {}, say)
        assert not taught.markets
        assert "guard" not in taught.model.facts


def test_a_market_learns_from_its_own_visits_and_knows_everybodys_popularity() -> None:
    items, logs, _ = planted(n_users=100, n_items=60)
    own = market_task(task_of(items, logs), 1, started=True)
    assert set(own.logs.markets[own.logs.visits.owners]) == {1}
    assert len(own.logs.event_nums) == len(logs.event_nums)
    assert own.config.adapter_rate < CONFIG.adapter_rate
    assert market_task(task_of(items, logs), 1, started=False).config.adapter_rate == CONFIG.adapter_rate


def test_the_inner_split_of_a_market_is_the_joint_models_own(torn: tuple[Task, Any, guard.Taught]) -> None:
    task, ids, taught = torn
    tried = try_epochs(task, ids, say)
    assert tried is not None
    for one in taught.model.facts["guard"]:
        row = next(row for row in tried.course.by_market if NAMES[row[0]] == one["market"])
        assert one["users"] == row[1]
        assert one["inner"][JOINT] == pytest.approx(row[3], abs=1e-6)


def test_what_serves_each_market_is_saved_with_the_model(torn: tuple[Task, Any, guard.Taught], tmp_path: Path) -> None:
    _, _, taught = torn
    named = {NAMES[row]: model for row, model in taught.markets.items()}
    hybrid.save_all(taught.model, named, tmp_path)
    found = hybrid.serving(str(tmp_path))
    assert set(found) == set(named)
    assert hybrid.load(found["M2"]).fingerprint == named["M2"].fingerprint
    assert hybrid.load(str(tmp_path)).fingerprint == taught.model.fingerprint
    text = card(hybrid.load(str(tmp_path)))
    assert "## What serves each market" in text
    assert "| M2 |" in text


def test_the_simplest_that_is_no_standard_error_behind_is_chosen_where_it_is_not_sure() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=50)
    near, far = noise + 0.001 * rng.normal(size=50), noise + 1 + 0.001 * rng.normal(size=50)
    better = near + 0.1 * rng.normal(size=50) + 0.001
    assert simplest([near, better], sure=False) == 0
    assert simplest([near, far], sure=False) == 1
    assert simplest([near, near + 1e-9], sure=True) == 1
    assert simplest([np.zeros(0), np.zeros(0)], sure=False) == 0
