"""The cost model of a night: what makes it longer, what makes it shorter, and what memory it takes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlrec.config.models import Config
from xlrec.kernels.history.sparse import empty_union
from xlrec.kernels.search.paths import PATHS
from xlrec.kernels.search.scan import Buffers
from xlrec.planning.costs import (
    SCORE_BYTES,
    TORCH_BYTES,
    WORKER_BYTES,
    Case,
    Machine,
    estimate,
    shuffled_bytes,
    stages,
    worker_bytes,
)
from xlrec.planning.levers import Gpu, levers, overrides, search_on
from xlrec.planning.rates import SPARK, Rates
from xlrec.planning.sizes import Sizes

GPU = Gpu(121.0, 300.0, 0.3)
RATES = Rates(
    clean=2e-5, detect=2e-4, encode=1e-4, scan=1e-9, number=1e-11, search=5e-5, retrieve=2e-4, rank=5e-4, step=1e-4,
    speed=1.2, crowding=1.3, path="float32",
)  # fmt: skip
SIZES = Sizes(
    users=100_000, active=80_000, items=20_000, texts=50_000, new_texts=50_000, unstated=4_000, events=1_000_000,
    visits=700_000, pairs=9_000_000, markets=8, languages=12, chars=170.0, input_bytes=20_000_000,
)  # fmt: skip


def config(**more: Any) -> Config:
    return Config.model_validate({"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, **more})


def case(**more: Any) -> Case:
    whole = config(**more)
    return Case(whole, SIZES, RATES, Machine(4, 4), 240)


COUNTS = (
    "users", "active", "items", "texts", "new_texts", "unstated", "events", "visits", "pairs", "markets", "languages",
)  # fmt: skip


@given(name=st.sampled_from(COUNTS), factor=st.floats(1.01, 50), enabled=st.booleans())
def test_no_size_that_grows_makes_the_night_shorter_or_smaller(name: str, factor: float, enabled: bool) -> None:
    small = case(train={"factors": {"enabled": enabled}})
    large = replace(small, sizes=replace(SIZES, **{name: int(getattr(SIZES, name) * factor) + 1}))
    before, after = estimate(small), estimate(large)
    for part, grown in zip(before.parts, after.parts, strict=True):
        assert grown.serial >= part.serial
        assert grown.work >= part.work
    assert after.seconds > before.seconds or name in ("markets", "languages", "users", "visits")
    for kind in ("pairs", "streamed", "disk", "worker", "shared", "driver"):
        assert getattr(after, kind) >= getattr(before, kind)


def test_each_size_counts_where_it_should() -> None:
    def work(name: str, **sizes: int) -> float:
        return estimate(replace(case(), sizes=replace(SIZES, **sizes))).stage(name)

    assert work("search", active=2 * SIZES.active) == pytest.approx(2 * work("search"))
    fixed = SIZES.active * RATES.search / 4 * RATES.crowding
    assert work("search", items=2 * SIZES.items) - fixed == pytest.approx(2 * (work("search") - fixed))
    assert work("rank", items=9 * SIZES.items) == work("rank")
    assert work("encoder", texts=10**7) == work("encoder")
    assert work("learnt model", visits=2 * SIZES.visits) > 1.5 * work("learnt model")


def test_weights_that_are_stated_cost_no_second_learning() -> None:
    stated = estimate(case(rank={"weights": {"similar": 1.0}}))
    assert stated.stage("weights") == 0
    assert estimate(case()).stage("weights") > estimate(case()).stage("learnt model") == stated.stage("learnt model")


def test_only_users_with_a_history_search() -> None:
    assert estimate(case()).pairs == SIZES.active * SIZES.items


def test_stages_and_their_parts_add_up_to_the_night() -> None:
    whole = estimate(case())
    names = [part.name for part in whole.parts if not part.of]
    assert sum(map(whole.stage, names)) == pytest.approx(whole.seconds)
    assert set(names) >= {"prepare", "embed", "train", "recommend", "publish"}


def test_a_slower_machine_pays_more_for_spark_and_a_crowded_one_for_all_that_tasks_share() -> None:
    plain = stages(replace(case(), rates=replace(RATES, speed=1.0)))
    slow = stages(replace(case(), rates=replace(RATES, speed=3.0)))
    named = {part.name: part.serial for part in plain}, {part.name: part.serial for part in slow}
    assert named[1]["publish"] == pytest.approx(3 * named[0]["publish"]) == pytest.approx(3 * SPARK.publish_fixed)
    alone = estimate(replace(case(), rates=replace(RATES, crowding=1.0))).stage("rank")
    assert estimate(case()).stage("rank") == pytest.approx(RATES.crowding * alone)
    assert estimate(replace(case(), machine=Machine(4, 1))).stage("rank") == pytest.approx(alone)


@given(cores=st.integers(1, 64), share=st.floats(0.05, 0.95))
def test_so_many_cores_are_enough_and_one_fewer_is_not(cores: int, share: float) -> None:
    whole = estimate(replace(case(), machine=Machine(cores, cores)))
    wanted = share * whole.seconds
    n = whole.cores_for(wanted)
    if n is None:
        assert whole.on(10**9) > wanted * (1 - 1e-6)
    else:
        assert whole.on(n) <= wanted * (1 + 1e-9)
        assert n == 1 or whole.on(n - 1) > wanted * (1 - 1e-9)


def test_every_lever_makes_the_night_that_the_model_gives_for_the_change() -> None:
    night = case()
    quicker = replace(RATES, rank=2e-4)
    others = dict.fromkeys(overrides(night.config), quicker)
    found = {lever.how.partition(";")[0]: lever for lever in levers(night, others, GPU)}
    before = estimate(night)
    assert all(0 < lever.seconds < before.seconds for lever in found.values())
    assert [lever.seconds for lever in found.values()] == sorted(lever.seconds for lever in found.values())
    tree: dict[str, dict[str, Any]] = {
        "train.factors.dim=64": {"train": {"factors": {"dim": 64}}},
    }
    for how, values in tree.items():
        assert found[how].seconds == pytest.approx(estimate(case(**values)).seconds)
    shorter = replace(case(k=5), rates=quicker)
    assert found["k=5"].seconds == pytest.approx(estimate(shorter).seconds)
    assert found["retrieve.candidates=100"].seconds < before.seconds
    assert found["train.factors.dim=64"].basis == "measured"


def test_half_of_the_users_halve_all_that_a_user_costs() -> None:
    whole, half = estimate(case()), estimate(replace(case(), sizes=SIZES.scaled(50_000, None)))
    for name in ("search", "sources", "rank"):
        assert half.stage(name) == pytest.approx(whole.stage(name) / 2)
    assert half.stage("encoder") == whole.stage("encoder")


def test_a_lever_that_does_not_apply_is_not_named() -> None:
    plain = case(train={"factors": {"enabled": False}}, retrieve={"candidates": 10}, k=10)
    plain = replace(plain, rates=replace(RATES, path="int8"), sizes=replace(SIZES, active=SIZES.users))
    named = " ".join(lever.how for lever in levers(plain, {}, GPU))
    for absent in ("factors", "candidates", "AVX512", "inputs.users", "embed.device"):
        assert absent not in named


def test_a_gpu_takes_what_its_arithmetic_or_its_memory_takes() -> None:
    night = case()
    pairs = SIZES.active * SIZES.items
    expected = pairs * 2 * night.dim / (121e12 * 0.3) + pairs * 4 / (300e9 * 0.3)
    assert search_on(GPU, night) == pytest.approx(expected)


def test_a_model_is_learnt_from_no_more_events_than_the_config_allows() -> None:
    few = case(train={"factors": {"max_visits": SIZES.visits // 7}})
    assert estimate(few).stage("learnt model") == pytest.approx(estimate(case()).stage("learnt model") / 7, rel=1e-4)
    assert estimate(case(train={"factors": {"enabled": False}})).stage("learnt model") == 0


@pytest.mark.parametrize("path", list(PATHS))
def test_a_worker_is_told_to_hold_what_the_search_allocates(path: str) -> None:
    if path != "float32":
        pytest.importorskip("torch")
    night = replace(case(train={"factors": {"enabled": False}}), rates=replace(RATES, path=path))
    options, kind, n_users = night.config.retrieve, PATHS[path], night.config.retrieve.user_block
    buffers = Buffers.empty(np.zeros(n_users, np.float32), options.candidates, kind.capacity(options.candidates))
    union = empty_union(n_users, 3 * options.candidates, night.config.k)
    tile = kind.scratch(n_users * options.item_block)
    scores = tile.nbytes if isinstance(tile, np.ndarray) else tile.element_size() * tile.nelement()
    assert scores == n_users * options.item_block * SCORE_BYTES[path]
    rounded = kind.block(np.zeros((64, 240), np.float32))
    kept = 0 if path == "float32" else rounded.data.element_size() * 240 * SIZES.items
    held = sum(array.nbytes for array in (*buffers, *union)) + scores + kept + 8 * SIZES.items
    python = WORKER_BYTES + (0 if path == "float32" else TORCH_BYTES)
    assert held < worker_bytes(night) - python < held + 40e6


def test_a_cluster_shares_the_shuffles_and_every_machine_has_the_index() -> None:
    one = estimate(case())
    many = estimate(replace(case(), machine=Machine(64, 4)))
    assert many.shuffled == one.shuffled
    assert one.executor_disk - 2 * one.shared == one.shuffled
    assert many.executor_disk - 2 * many.shared == pytest.approx(one.shuffled / 16, abs=1)
    assert many.driver_disk == 2 * many.shared
    heap = 4 << 30
    assert one.memory(heap) == one.executor_memory(heap) + one.driver


def test_shuffles_are_foretold_as_the_event_log_of_a_night_has_them() -> None:
    """285,000 events and 23,772 texts of 20,000 items in nine markets, 3.49 million neighbours: 219 MB."""
    sizes = replace(SIZES, events=285_077, texts=23_772, items=20_000, markets=9, visits=285_077)
    night = replace(case(), sizes=sizes, text_dim=256)
    n_rows = 3_488_970
    apart = shuffled_bytes(replace(night, sizes=replace(sizes, items=0)))
    assert apart + 16 * n_rows == pytest.approx(218_896_190, rel=0.1)
    assert shuffled_bytes(night) >= 0.9 * 218_896_190
