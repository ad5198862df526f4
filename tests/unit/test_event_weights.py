"""Event weights: a kind that tells nothing is weighed down on users that nobody looked at; kinds alike stay alike."""

import shlex
from collections.abc import Iterator
from io import StringIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from planted_market import DAY, planted
from rich.console import Console

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.errors import InputError
from xlrec.kernels.attention import visits
from xlrec.kernels.csr import owners_of
from xlrec.reporting.event_weights import WeightsData, print_weights, verdict
from xlrec.settings import load, load_as
from xlrec.training.recommender.event_weights import Found, Kinds, Search, Trial, kinds_of, learn_weights, weighed
from xlrec.training.recommender.logs import Logs, logs_of
from xlrec.training.recommender.loop import Task

NAMES = ("choose", "glance")
CONFIG = HybridConfig(
    dim=16, epochs=3, batch=128, spans=2, residual_rate=0.005, adapter_rate=0.005, min_validation_users=150,
    validation_share=0.2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the pipeline trains: sums keep their order, and a busy machine costs no waits between threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def say(_: str) -> None:
    """Progress that nobody reads."""


def kinds_that_differ(choose: float, glance: float, n_users: int = 450, **config: Any) -> tuple[Task, Kinds]:
    """Before everything that users choose, they glance at an item drawn at random; each kind weighs so much."""
    items, logs, _ = planted(n_users=n_users, n_items=120, seed=3, abroad=1.0)
    n = len(logs.event_nums)
    kinds = np.repeat(np.arange(2), n).astype(np.int32)
    users, micros = np.tile(logs.event_users, 2), np.tile(logs.event_micros, 2) - np.repeat([0, DAY // 4], n)
    nums = np.append(logs.event_nums, np.random.default_rng(7).integers(0, 120, n).astype(np.int32))
    order = np.lexsort((nums, micros, users))
    weights = np.array([choose, glance])[kinds]
    columns = (users[order], nums[order], micros[order], weights[order])
    return task_of(items, logs, *columns, **config), Kinds(NAMES, kinds[order])


def kinds_alike(seed: int) -> tuple[Task, Kinds]:
    """What users choose is logged as one kind or the other, as chance has it."""
    items, logs, _ = planted(n_users=450, n_items=120, seed=seed, abroad=1.0)
    kinds = np.random.default_rng(7).integers(0, 2, len(logs.event_nums)).astype(np.int32)
    columns = (logs.event_users, logs.event_nums, logs.event_micros, logs.event_weights)
    return task_of(items, logs, *columns), Kinds(NAMES, kinds)


def task_of(items: Any, logs: Logs, users: Any, nums: Any, micros: Any, weights: Any, **config: Any) -> Task:
    indptr = np.searchsorted(users, np.arange(logs.n_users + 1)).astype(np.int64)
    made = Logs(
        visits(indptr, micros, nums, weights), logs.markets, logs.reads, users, nums, micros, weights,
        logs.markets[users],
    )  # fmt: skip
    return Task(made, items, CONFIG.model_copy(update=config), PopularityConfig(), seed=0)


def found_of(task: Task, kinds: Kinds) -> Found:
    return learn_weights(task, kinds, pa.array([f"i{num:03d}" for num in range(len(task.items.texts))]), say)


def test_weights_the_wrong_way_round_are_turned_and_unseen_users_are_better_off() -> None:
    found = found_of(*kinds_that_differ(choose=0.25, glance=4.0))
    choose, glance = found.multiples
    assert choose > 1 >= glance
    assert found.sure
    assert found.ahead[0] == pytest.approx(found.after - found.before)
    assert found.ahead[1] > 0
    assert (found.n_search, found.n_unseen) == (225, 225)
    assert (found.recommended == found.multiples).all()
    assert [trial.kind for trial in found.trials] == [0] * 4 + [1] * 4  # as many events: in the order of names
    assert sum(trial.kept for trial in found.trials) == (found.multiples != 1).sum()


@pytest.mark.parametrize("seed", [4, 5])
def test_where_kinds_mean_the_same_the_configured_weights_are_recommended(seed: int) -> None:
    found = found_of(*kinds_alike(seed))
    assert not found.sure
    assert (found.recommended == 1).all()


def test_the_search_repeats_itself_and_never_looks_at_the_users_that_judge_it() -> None:
    task, kinds = kinds_that_differ(choose=0.25, glance=4.0, n_users=240, epochs=1)
    found, log = found_of(task, kinds), task.logs.visits
    unseen = Search(task, kinds, pa.array([])).unseen.users
    assert found.n_search + found.n_unseen == 240
    newest = log.indptr[unseen + 1] - 1
    events = np.searchsorted(task.logs.event_users, unseen, side="right") - 1
    nums, event_nums = log.nums.copy(), task.logs.event_nums.copy()
    for user, visit, event in zip(unseen, newest, events, strict=True):
        assert event_nums[event] == nums[visit]
        met = log.nums[log.indptr[user] : log.indptr[user + 1]]
        if nums[visit] in met[:-1]:  # not what is held out of this user's log
            continue
        nums[visit] = event_nums[event] = np.setdiff1d(np.arange(120), met)[0]
    other = Task(
        task.logs._replace(visits=log._replace(nums=nums), event_nums=event_nums), task.items, task.config,
        task.popularity, task.seed,
    )  # fmt: skip
    again = found_of(other, kinds)
    assert (again.multiples == found.multiples).all()
    assert (again.trials, again.searched, again.epochs) == (found.trials, found.searched, found.epochs)
    assert again.before != found.before


def test_one_kind_or_few_users_are_refused_with_what_to_do() -> None:
    task, kinds = kinds_that_differ(1.0, 1.0, n_users=100)
    with pytest.raises(InputError, match=r"show a preference: view; weighing them takes two: log more kinds"):
        found_of(task, Kinds(("view",), np.zeros_like(kinds.of)))
    with pytest.raises(InputError, match=r"has 100 users who .*\.min_validation_users = 150: take more --users, or"):
        found_of(task, kinds)


def test_weighing_changes_no_visit_but_its_weight() -> None:
    task, kinds = kinds_that_differ(1.0, 3.0, n_users=60)
    logs = task.logs
    kinds = kinds._replace(of=np.where(np.arange(len(kinds.of)) % 7, kinds.of, -1).astype(np.int32))
    found = weighed(logs, kinds, np.array([2.0, 0.25]))
    factors = [{0: 2.0, 1: 0.25, -1: 1.0}[int(kind)] for kind in kinds.of]
    np.testing.assert_allclose(found.event_weights, logs.event_weights * factors)
    for name in ("indptr", "nums", "micros"):
        assert (getattr(found.visits, name) == getattr(logs.visits, name)).all()
    total = np.bincount(logs.event_users, weights=found.event_weights, minlength=logs.n_users)
    sums = np.bincount(owners_of(found.visits.indptr), weights=found.visits.weights, minlength=logs.n_users)
    np.testing.assert_allclose(sums, total)
    same = weighed(logs, kinds, np.ones(2))
    assert all((one == other).all() for one, other in zip(same.visits, logs.visits, strict=True))


def test_kinds_come_in_the_order_of_the_logs_events() -> None:
    entry = pa.struct([
        ("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64()), ("market", pa.string()),
        ("event", pa.string()),
    ])  # fmt: skip
    logs = [
        [(5, 1, 2.0, "DE", "view"), (6, 2, 0.0, "DE", "rating"), (7, 3, 1.0, "DE", "cart")],
        [],
        [(1, 4, 1.0, "DE", None), (2, 5, 1.0, "DE", "view")],
    ]
    table = pa.table({
        "user_key": pa.array([9, 1, 3]), "market": ["DE"] * 3, "languages": pa.array([["de"]] * 3),
        "language_weights": pa.array([[1.0]] * 3),
        "log": pa.array([[dict(zip(entry.names, row, strict=True)) for row in log] for log in logs], pa.list_(entry)),
    })  # fmt: skip
    kinds, read = kinds_of(table), logs_of(table, lambda _: 0, ("de",))
    assert kinds.names == ("cart", "view")
    assert list(zip(read.event_nums.tolist(), kinds.of.tolist(), strict=True)) == [(4, -1), (5, 1), (1, 1), (3, 0)]
    assert kinds.counts.tolist() == [1, 2]


def data_of(multiples: tuple[float, ...], ahead: tuple[float, float, float]) -> WeightsData:
    trials = tuple(Trial(0, one, 0.1 * one, kept=one == multiples[0]) for one in (0.5, 2.0, 0.25, 4.0))
    found = Found(np.array(multiples), trials, 3, 0.2, 70, 71, 0.2, 0.2 + ahead[0], ahead)
    kinds = Kinds(("it's", "view"), np.array([0, 0, 1], dtype=np.int32))
    return WeightsData(kinds, {"it's": 1.0, "view": 3.0}, {"view": 3.0, "cart": 2.0}, found, "my.yaml")


def printed(data: WeightsData) -> str:
    out = StringIO()
    print_weights(data, Console(file=out, width=100))
    return out.getvalue()


def test_the_line_gives_the_config_that_was_found(tmp_path: Any) -> None:
    data = data_of((0.25, 1.0), (0.05, 0.01, 0.09))
    wanted = {"view": 3.0, "cart": 2.0, "it's": 0.25}
    (tmp_path / "c.yaml").write_text("lake: l\ninputs: {catalog: c, interactions: i}\nk: 5\n")
    flag, override = shlex.split(data.line)
    assert flag == "--set"
    assert load(str(tmp_path / "c.yaml"), [override], {}).prepare.event_weights == wanted
    (tmp_path / "p.yaml").write_text(data.yaml + "\nlake: l\ninputs: {catalog: c, interactions: i}\nk: 5\n")
    assert (
        load_as(type(load(str(tmp_path / "c.yaml"), [], {})), str(tmp_path / "p.yaml")).prepare.event_weights == wanted
    )
    text = printed(data)
    assert f"xlrec run --config my.yaml {data.line}" in text
    assert "+0.0500 (+0.0100 to +0.0900)" in text


@pytest.mark.parametrize(
    ("multiples", "ahead", "said", "line"),
    [
        ((0.5, 1.0), (0.05, 0.01, 0.09), "The weights found are better.", "use them:"),
        ((0.5, 1.0), (0.05, -0.01, 0.09), "Keep prepare.event_weights: that may be chance.", "to try them"),
        ((0.5, 1.0), (-0.01, -0.05, 0.02), "Keep prepare.event_weights: what was found is not ahead.", None),
        ((1.0, 1.0), (0.0, 0.0, 0.0), "No weight is ahead of the configured one", None),
    ],
)  # fmt: skip
def test_it_says_whether_to_use_what_was_found(
    multiples: tuple[float, ...], ahead: tuple[float, float, float], said: str, line: str | None
) -> None:
    data = data_of(multiples, ahead)
    assert said in verdict(data.found)
    assert (line in printed(data)) if line else ("--set" not in printed(data))
