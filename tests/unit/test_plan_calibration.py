"""The pieces of a night that `xlrec plan` tries: the code that serves, on a small index, in little time."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_plan_costs import GPU, SIZES, case
from test_plan_sizes import world
from typer.testing import CliRunner

from xlrec.cli.app import app
from xlrec.planning import calibration, clocks
from xlrec.planning.costs import WORKER_BYTES, index_bytes, worker_bytes
from xlrec.planning.plan import plan
from xlrec.planning.trial import Trial
from xlrec.reporting.plan import size
from xlrec.stages.retrieve import Retriever

N_ITEMS = 4000


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration of a second or two."""
    monkeypatch.setattr(clocks, "PATIENCE", 0.01)
    monkeypatch.setattr(calibration, "_ITEMS", 600)
    monkeypatch.setattr(calibration, "_USERS", 64)
    monkeypatch.setattr(calibration, "crowded", lambda _: 1.25)


def test_the_formulas_of_memory_are_near_what_index_and_retrieval_take(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(N_ITEMS, 240)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    night = case(train={"factors": {"enabled": False}})
    histories = tuple(range(1, 40))
    sizes = replace(SIZES, items=N_ITEMS, users=1024, active=1024, pairs=N_ITEMS * 40, markets=4, histories=histories)
    night = replace(night, sizes=sizes)
    trial = Trial(tmp_path / "index", vectors, sizes, night.config, 1024)
    files = sum(path.stat().st_size for path in (tmp_path / "index").iterdir())
    assert index_bytes(night) == pytest.approx(files, rel=0.05)
    many = trial.mask(3, 5 * N_ITEMS, 2)  # of more items than the index has
    assert many.eligible.shape[1] == len(many.item_words) == 5 * N_ITEMS
    np.testing.assert_array_equal(many.eligible[:, -N_ITEMS:], trial.index.eligible_rows)
    retriever, users = Retriever(trial.index, night.config), trial.users()
    retriever.rows(users)
    tracemalloc.start()
    retriever.rows(users)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.7 * peak < worker_bytes(night) - WORKER_BYTES < 1.8 * peak


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("enabled", [True, False])
def test_every_rate_of_a_config_is_measured(tmp_path: Path, enabled: bool) -> None:
    config = world(tmp_path, train={"factors": {"enabled": enabled}})
    found = plan(config, users=10_000, items=2_000, cores=8, gpu=GPU)
    rates = found.case.rates
    for name in ("clean", "detect", "encode", "rank", "speed"):
        assert getattr(rates, name) > 0, name
    assert rates.pair(64) > 0
    assert rates.crowding == 1.25
    assert (rates.step > 0) == enabled
    assert found.whole.pairs == found.case.sizes.active * 2_000
    assert found.whole.cores == 8
    assert {lever.how.partition("=")[0] for lever in found.levers} >= {"k", "retrieve.candidates"} or found.levers


@pytest.mark.usefixtures("hasty")
def test_the_command_prints_a_plan_for_people_and_for_programs(tmp_path: Path) -> None:
    config = world(tmp_path, train={"factors": {"enabled": False}}, k=2)
    file = tmp_path / "config.yaml"
    file.write_text(config.model_dump_json(), encoding="utf-8")
    shown = CliRunner().invoke(app, ["plan", "--config", str(file)])
    assert shown.exit_code == 0, shown.output
    for expected in ("prepare", "recommend", "half of the users", "By cores", "a core-hour", "none was tried"):
        assert expected in " ".join(shown.output.split())
    told = json.loads(CliRunner().invoke(app, ["plan", "--config", str(file), "--json"]).output)
    assert told["pairs"] == 30 * 3
    assert told["seconds"] == pytest.approx(sum(part["seconds"] for part in told["stages"]))
    assert all(lever["seconds"] < told["seconds"] for lever in told["levers"])


def test_the_median_of_a_step_is_cpu_time() -> None:
    import time

    assert clocks.timed(lambda: time.sleep(0.05), 0, 1) < 0.02


@pytest.mark.parametrize(("n", "said"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.55e10, "26 GB")])
def test_bytes_are_said_in_few_digits(n: float, said: str) -> None:
    assert size(n) == said
