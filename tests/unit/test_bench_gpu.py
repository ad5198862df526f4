"""The bench of the GPU: its figures on CPU tensors, and one line where there is no GPU."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

BENCH = str(Path(__file__).resolve().parents[1] / "bench")
BEFORE = dict(os.environ)
sys.path.insert(0, BENCH)
import gpu as bench  # noqa: E402  # no package: run as a script

sys.path.remove(BENCH)
os.environ.clear()  # benches set one thread for their process
os.environ.update(BEFORE)


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    before = dict(os.environ)
    sys.path.insert(0, BENCH)
    yield
    sys.path.remove(BENCH)
    os.environ.clear()
    os.environ.update(before)


SHAPE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}


def test_the_limits_are_those_of_arithmetic_memory_and_link() -> None:
    # 1,000 pairs of 8 numbers: 16,000 operations; 1,600 bytes of items and 4,000 of scores within, 3,200 over the link
    least = bench.limits(10, 100, 8, most=1000.0, host=100.0, inside=10.0)
    assert least == pytest.approx({"arithmetic": 16.0, "memory": 560.0, "link": 32.0})


def test_operations_are_those_of_the_models_matrices_and_of_attention() -> None:
    from transformers import BertConfig, BertModel

    bert = BertModel(BertConfig(vocab_size=50, **SHAPE))  # type: ignore[arg-type]
    weights = sum(one.weight.numel() for one in bert.encoder.modules() if isinstance(one, torch.nn.Linear))
    lengths = np.array([3, 7])
    attention = sum(2 * 2 * length * length * 32 for length in (3, 7)) * 2  # two products of each of two layers
    assert bench.operations(lengths, 2, 32, 64) == 2 * weights * lengths.sum() + attention


def test_the_peer_finds_what_sorting_finds_whatever_the_block() -> None:
    queries, items = torch.randn(7, 5), torch.randn(40, 5)
    expected = torch.argsort(queries @ items.T, dim=1, descending=True)[:, :6]
    assert torch.equal(bench.plain(queries, items, 6, 2), expected)
    assert torch.equal(bench.plain(queries, items, 6, 100), expected)


def test_every_figure_comes_out_on_a_processor_too() -> None:
    rows = bench.searching("cpu", 20, 500, 16, 5, 1e9, 1)
    rows.append(bench.forward("cpu", 4, 8, SHAPE, bench.peak("cpu", 64, 1), 1))
    rows += bench.embedding("cpu", 12, SHAPE, 1e9, 1)
    assert all(np.isfinite(row.figure) and row.figure > 0 for row in rows)
    assert next(row.figure for row in rows if row.what.endswith("ids that are the same")) == 1.0


def test_the_least_of_some_rounds_is_taken_after_one_that_warms_up() -> None:
    runs: list[int] = []
    assert bench.seconds(lambda: runs.append(1), "cpu", 3) < 0.1
    assert len(runs) == 4
    assert bench.copying("cpu", 4096, 1, host=True) > 0


def test_without_a_gpu_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert bench.main() == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("xlrec: ENVIRONMENT: no GPU is at hand")
    assert said.err.count("\n") == 1
