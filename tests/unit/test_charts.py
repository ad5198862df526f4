"""Charts: escaped, well-formed and calm about empty, single and non-finite values."""

from math import inf, isfinite, nan
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlrec.reporting import charts, words
from xlrec.reporting.charts import DotRow, Mark, Scale

HOSTILE = '"><script>alert(1)</script>'


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter("text")]


def drawn(value: float) -> list[str]:
    mark = Mark(value, value, value)
    return [
        charts.dot_chart([DotRow("a", (mark,)), DotRow("b", (mark, Mark(0.5, 0.4, 0.6, 1)), "3 users")], "dots"),
        charts.dot_chart([DotRow("a", (mark,))], "differences", difference=True),
        charts.grouped_bars({"a": (value, 0.5)}, ("x", "y"), "bars"),
        charts.stacked_bars({"a": (value, 0.5)}, ("x", "y"), "stacked"),
    ]


@pytest.mark.parametrize("value", [nan, inf, -inf, 0.0, 1.0, -0.2, 1e-12, 1e12])
def test_any_single_value_gives_a_well_formed_chart_without_nan(value: float) -> None:
    for svg in drawn(value):
        ElementTree.fromstring(svg)
        assert "nan" not in svg.lower()
        assert "inf" not in svg.lower()


def test_nothing_to_draw_is_said() -> None:
    assert (
        charts.dot_chart([], "t")
        == charts.grouped_bars({}, (), "t")
        == charts.stacked_bars({}, (), "t")
        == charts.EMPTY
    )


def test_a_value_that_is_no_number_is_a_dash_and_no_mark() -> None:
    svg = charts.dot_chart([DotRow("a", (Mark(nan, 0.1, 0.2),))], "t")
    assert words.NOTHING in texts(svg)
    assert "<circle" not in svg
    assert "whisker" not in svg


def test_a_stack_of_nothing_is_a_dash() -> None:
    assert words.NOTHING in texts(charts.stacked_bars({"a": (0.0, nan)}, ("x", "y"), "t"))


def test_an_interval_that_is_missing_draws_no_whisker() -> None:
    assert "whisker" not in charts.dot_chart([DotRow("a", (Mark(0.5),))], "t")
    assert "whisker" in charts.dot_chart([DotRow("a", (Mark(0.5, 0.4, 0.6),))], "t")


def test_labels_names_and_titles_are_escaped() -> None:
    rows = [DotRow(HOSTILE, (Mark(0.5, 0.4, 0.6),), HOSTILE)]
    bars = {HOSTILE: (0.5,)}
    everything = [
        charts.dot_chart(rows, HOSTILE),
        charts.grouped_bars(bars, (HOSTILE,), HOSTILE),
        charts.stacked_bars(bars, (HOSTILE,), HOSTILE),
        charts.chart_legend([HOSTILE]),
    ]
    for markup in everything:
        assert "<script" not in markup
        ElementTree.fromstring(markup)


def test_a_long_label_is_cut_and_whole_in_its_title() -> None:
    svg = charts.dot_chart([DotRow("a label much too long to fit", (Mark(0.5),))], "t")
    assert "<title>a label much too long to fit</title>" in svg
    assert "a label much t…" in svg


def test_series_differ_in_shape_as_well_as_colour() -> None:
    svg = charts.dot_chart([DotRow("a", (Mark(0.5, series=0), Mark(0.4, series=1)))], "t")
    assert svg.count("<circle") == 1
    assert svg.count("<path") == 1


def test_stacked_shares_fill_the_width_in_proportion() -> None:
    svg = charts.stacked_bars({"a": (3.0, 1.0)}, ("x", "y"), "t")
    first, second = (float(node.attrib["width"]) for node in ElementTree.fromstring(svg).iter("rect"))
    assert (first + 1) / (second + 1) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(("least", "most"), [(None, None), (None, 0.0), (None, 7.0)])
def test_a_bar_that_is_no_share_has_no_meter(least: float | None, most: float | None) -> None:
    assert charts.bar_meter(0.5, least, most) == ""


def test_a_meter_says_value_and_bar() -> None:
    assert "<title>62\u00a0%, allowed is at most 50\u00a0%</title>" in charts.bar_meter(0.62, None, 0.5)
    assert charts.bar_meter(nan, 0.5, None) == ""


def test_a_part_of_nothing_is_not_drawn() -> None:
    assert charts.share_bar(None, 3.0) == charts.share_bar(1.0, 0.0) == ""
    assert "33.3" in charts.share_bar(1.0, 3.0)


@given(st.lists(st.floats(-1e9, 1e9), max_size=8))
def test_a_scale_holds_its_values_and_zero_between_its_ends(values: list[float]) -> None:
    scale = Scale(values, 100, 300)
    for value in [*values, 0.0]:
        assert 100 - 1e-3 <= scale(value) <= 300 + 1e-3
    assert 2 <= len(scale.ticks) <= 8
    assert all(isfinite(tick) for tick in scale.ticks)
    labels = [scale.label(tick) for tick in scale.ticks]
    assert len(set(labels)) == len(labels)
