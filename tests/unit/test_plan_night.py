"""The forecast of a night: its growth with sizes, its memory and disk, the last run's seconds, cheaper settings."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from worlds.input_files import planned_config

from xlrec.cli.app import app
from xlrec.config.models import Config
from xlrec.planning.night import Cluster, Night, cluster_of, forecast_cost, memory_bytes, what_if
from xlrec.planning.rates import measure_search_rate
from xlrec.planning.run_history import PastRun
from xlrec.planning.sizes import Sizes

SIZES = Sizes(
    users=100_000, active=80_000, items=20_000, texts=50_000, new_texts=50_000, events=1_000_000, markets=8,
    input_bytes=20_000_000,
)  # fmt: skip
RATE = 1e-11


def night(**config: Any) -> Night:
    whole = Config.model_validate({"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, **config})
    return Night(whole, SIZES, Cluster(1, 4, 16 << 30), RATE)


@given(name=st.sampled_from(list(SIZES.__dict__)), factor=st.floats(1.01, 50), enabled=st.booleans())
def test_no_size_that_grows_makes_the_night_shorter_or_smaller(name: str, factor: float, enabled: bool) -> None:
    small = night(train={"factors": {"enabled": enabled}})
    large = replace(small, sizes=replace(SIZES, **{name: int(getattr(SIZES, name) * factor) + 1}))
    if name in ("active", "items"):  # the same events, spread over more users or items, have fewer neighbours each
        assert sum(large.stage_seconds().values()) >= sum(small.stage_seconds().values())
        return
    before, after = forecast_cost(small), forecast_cost(large)
    for stage, seconds in before.seconds.items():
        assert after.seconds[stage] >= seconds
    for kind in ("executor_memory", "executor_disk", "driver_memory", "index_bytes", "shuffle_bytes", "lake_bytes"):
        assert getattr(after, kind) >= getattr(before, kind)


def test_only_users_with_events_search() -> None:
    more = night().stage_seconds()["recommend"] - replace(night(), search_rate=0.0).stage_seconds()["recommend"]
    assert more == pytest.approx(SIZES.active * SIZES.items * 128 * RATE / 4)


def test_weights_that_are_stated_cost_no_second_learning() -> None:
    assert night(rank={"weights": {}}).stage_seconds()["train"] < 0.7 * night().stage_seconds()["train"]


def test_a_model_is_learnt_from_no_more_events_than_the_config_allows() -> None:
    assert night(train={"factors": {"max_visits": 1000}}).learnt_events == 1000
    assert night(train={"factors": {"enabled": False}}).learnt_events == 0


def test_the_last_runs_seconds_are_scaled_by_sizes() -> None:
    plain = night(spark={"master": "local[4]"})
    same = {name: getattr(SIZES, name) for name in ("users", "items", "texts", "new_texts", "events")}
    past = PastRun("r", plain.config.k, {"prepare": 99.0, "train": 7.0}, same)
    seconds = replace(plain, last=past).stage_seconds()
    assert (seconds["prepare"], seconds["train"]) == pytest.approx((99.0, 7.0))
    assert seconds["publish"] == pytest.approx(plain.stage_seconds()["publish"])
    half = replace(plain, last=past, sizes=SIZES.scale(50_000, None)).stage_seconds()["prepare"]
    expected = replace(plain, sizes=SIZES.scale(50_000, None)).stage_seconds()["prepare"]
    assert half == pytest.approx(99.0 * expected / plain.stage_seconds()["prepare"])


def test_a_cluster_shares_work_and_shuffles_and_every_machine_has_the_index() -> None:
    one, many = night(), replace(night(), cluster=Cluster(16, 4, 0))
    alone, shared = forecast_cost(one), forecast_cost(many)
    assert shared.shuffle_bytes == alone.shuffle_bytes
    assert shared.executor_disk - 2 * shared.index_bytes == alone.shuffle_bytes // 16
    assert shared.executor_memory < alone.executor_memory  # the driver is elsewhere
    assert all(seconds < alone.seconds[stage] for stage, seconds in shared.seconds.items())


def test_shuffles_are_forecast_within_a_factor_of_two_of_a_nights_event_log() -> None:
    """285,077 events and 23,772 texts of 20,000 items in eight markets: 219 MB."""
    sizes = replace(SIZES, events=285_077, active=24_000, texts=23_772, items=20_000)
    assert 219e6 / 2 < forecast_cost(replace(night(), sizes=sizes)).shuffle_bytes < 2 * 219e6


def test_changes_are_few_each_alone_and_the_cheapest_first() -> None:
    changes = what_if(night(k=50))
    total = sum(night(k=50).stage_seconds().values())
    assert 1 <= len(changes) <= 5
    assert list(changes.values()) == sorted(changes.values())
    assert max(changes.values()) <= 0.95 * total
    fewer = sum(night(k=50, train={"covisitation": {"regression": False}}).stage_seconds().values())
    assert changes["train.covisitation.regression: False"] == pytest.approx(fewer)


def test_the_search_rate_is_that_of_a_core() -> None:
    assert 1e-13 < measure_search_rate(4096, 64) < 1e-8


@pytest.mark.parametrize(
    ("spark", "executors", "cores"),
    [
        ({"master": "local[3]"}, 1, 3),
        ({"master": "local[3,4]"}, 1, 3),
        ({"master": "local"}, 1, 1),
        ({"master": "yarn", "conf": {"spark.executor.instances": "5", "spark.executor.cores": "4"}}, 5, 4),
    ],
)
def test_cores_are_those_that_spark_is_given(spark: dict[str, Any], executors: int, cores: int) -> None:
    cluster = cluster_of(night(spark=spark).config)
    assert (cluster.executors, cluster.cores) == (executors, cores)


@pytest.mark.parametrize(("text", "n_bytes"), [("4g", 4 << 30), ("512m", 512 << 20), ("2GB", 2 << 30), ("all", 0)])
def test_memory_sizes_are_read_as_spark_writes_them(text: str, n_bytes: int) -> None:
    assert memory_bytes(text) == n_bytes


def test_the_command_prints_a_plan_for_people_and_for_programs(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(planned_config(tmp_path).model_dump_json(), encoding="utf-8")
    small = CliRunner().invoke(app, ["plan", "--config", str(file)])
    assert small.exit_code == 0, small.output
    assert "35, 30 with events" in small.output
    assert "Spark's fixed time" in " ".join(small.output.split())
    assert len(small.output.splitlines()) < 10
    large = ["--users", "1000000", "--items", "200000", "--executors", "4", "--cores", "16", "--memory", "64g"]
    output = CliRunner().invoke(app, ["plan", "--config", str(file), *large]).output
    for expected in ("4 of 16 cores", "of 68.7 GB memory", "recommend", "with one change"):
        assert expected in " ".join(output.split())
    plan = json.loads(CliRunner().invoke(app, ["plan", "--config", str(file), "--json"]).output)
    assert plan["sizes"]["items"] == 3
    assert plan["total_seconds"] == pytest.approx(sum(plan["seconds"].values()))
