"""The transfer's page and table: every figure is there, nothing is taken for mark-up, the line of config is told."""

from datetime import date
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from xlrec.reporting.charts import Mark, line_chart
from xlrec.reporting.transfer import TransferData, print_curve, render_transfer
from xlrec.training.transfer import POPULARITY, TEXT, ZERO_SHOT, Choice, Outcome
from xlrec.training.transfer.figures import Summary
from xlrec.training.transfer.strategies import SOURCE_ONLY, STRATEGIES, TARGET_ONLY


@pytest.fixture
def sample() -> TransferData:
    ways = [way.name for way in STRATEGIES]
    rng = np.random.default_rng(0)
    arms = [(ZERO_SHOT, 0.0), (TEXT, 0.0), (POPULARITY, 1.0)] + [(name, s) for s in (0.05, 1.0) for name in ways]
    values = {key: rng.random((40, 3)) for key in arms}
    summary = Summary(np.arange(40), (1, 3), 0, 50)
    ahead = {name: (0.1, 0.05, 0.15) for name in ways if name != "target only"}
    choices = [Choice(s, 30, dict.fromkeys(ways, 0.1), "joint", "target only", ahead) for s in (0.05, 1.0)]
    outcome = Outcome(
        summary.figures(values), summary.paired_differences(values, (ZERO_SHOT, 0.0), (TEXT, 0.0)), choices, values,
        39, 1, {0.05: 2, 1.0: 40}, {"source": 900, "target": 90},
    )  # fmt: skip
    return TransferData(
        "market", ("<b>DE</b>", "FR"), ("JP",), "r.1", date(2026, 1, 2), "lake", "m/t", outcome, "c.yaml"
    )


def test_the_page_has_every_arm_and_no_mark_up_of_names(sample: TransferData) -> None:
    page = render_transfer(sample)
    assert "<b>DE</b>" not in page
    assert "&lt;b&gt;DE" in page
    for name in (ZERO_SHOT, TEXT, POPULARITY, SOURCE_ONLY.name, TARGET_ONLY.name, "joint"):
        assert name in page
    assert "train.factors.models.JP=m/t" in page
    assert page.count("<svg") >= 4


def test_the_terminal_shows_the_curve_what_is_kept_and_how_to_use_it(sample: TransferData) -> None:
    out = StringIO()
    print_curve(sample, "page.html", Console(file=out, width=100))
    shown = out.getvalue()
    assert "Kept for JP: target only, on the inner split of 30 users" in shown
    assert "xlrec run --config c.yaml --set train.factors.models.JP=m/t" in shown
    assert "zero-shot" in shown


def test_a_target_without_logs_is_said_to_have_nothing_measured() -> None:
    bare = TransferData(
        "market", ("DE",), ("JP",), "r.1", date(2026, 1, 2), "lake", "m/t",
        Outcome(n_visits={"source": 9, "target": 0}, n_sampled={1.0: 0}), "c.yaml",
    )  # fmt: skip
    assert "nothing could be measured" in render_transfer(bare)


def test_a_curve_skips_what_is_missing_and_says_when_there_is_nothing() -> None:
    drawn = line_chart({"a": (Mark(0.5, 0.4, 0.6), None, Mark(0.7))}, {"low": 0.1}, ["0", "1", "2"], "t")
    assert drawn.count("<circle") == 2
    assert "low</text>" in drawn
    assert "nothing to draw" in line_chart({"a": (None,)}, {}, ["0"], "t")
