"""Markets that log otherwise than the others are named, with what is otherwise; chance and small markets are not."""

from typing import Any

import pytest

from xlrec.stages.prepare.markets import compare_markets


def row(market: str, kind: str, n: int, low: float | None = None, high: float | None = None, up: int = 0) -> Any:
    n_rated = n if high is not None else 0
    return {"market": market, "kind": kind, "n": n, "n_rated": n_rated, "low": low, "high": high, "n_positive": up}


ALIKE = [row(market, kind, n) for market in ("DE", "FR") for kind, n in (("view", 900), ("purchase", 100))]


def test_a_market_of_another_mix_is_named_first_with_the_kind_it_has_most_more_of() -> None:
    found = compare_markets([*ALIKE, row("JP", "purchase", 500)], 0.5)
    assert [log.market for log in found] == ["JP", "DE", "FR"]
    assert found[0].disagreements == ("purchase is 100 % of its events, elsewhere 10 %",)
    assert found[0].distance == pytest.approx(0.9)
    assert found[1].mix == (("view", 0.9), ("purchase", 0.1))
    # others of DE: 900 views and 600 purchases
    assert found[1].distance == pytest.approx(0.9 - 900 / 1500)
    assert [log.disagreements for log in found[1:]] == [(), ()]


def test_the_bar_is_the_configs_and_a_distance_on_it_passes() -> None:
    halves = [row("DE", "view", 100), row("FR", "view", 50), row("FR", "cart", 50)]
    assert all(log.distance == 0.5 and not log.disagreements for log in compare_markets(halves, 0.5))
    assert all(log.disagreements for log in compare_markets(halves, 0.49))


def test_small_markets_and_the_only_market_are_shown_but_not_judged() -> None:
    found = {log.market: log for log in compare_markets([*ALIKE, row("JP", "cart", 99, 1.0, 10.0)], 0.5)}
    assert (found["JP"].disagreements, found["JP"].distance) == ((), 1.0)
    assert compare_markets([*ALIKE, row("JP", "cart", 100)], 0.5)[0].disagreements
    (alone,) = compare_markets([row("DE", "rating", 500, 1.0, 10.0, 250)], 0.5)
    assert (alone.distance, alone.disagreements, alone.positive) == (None, (), 0.5)
    assert compare_markets([], 0.5) == ()


def test_ratings_on_another_scale_than_most_are_named_with_both_scales() -> None:
    rows = [
        row("DE", "rating", 900, 0.5, 5.0, 450), row("FR", "rating", 800, 1.0, 5.0, 400),
        row("JP", "rating", 300, 1.0, 10.0, 150), row("US", "rating", 200, 0.0, 1.0, 160),
    ]  # fmt: skip
    found = {log.market: log for log in compare_markets(rows, 0.5)}
    assert found["JP"].disagreements == ("its rating values go from 1 to 10, elsewhere mostly up to 5",)
    assert found["US"].disagreements == ("its rating values go from 0 to 1, elsewhere mostly up to 5",)
    assert found["DE"].disagreements == found["FR"].disagreements == ()
    assert (found["US"].low, found["US"].high, found["US"].positive) == (0.0, 1.0, 0.8)
    assert compare_markets(rows[::-1], 0.5) == compare_markets(rows, 0.5)


def test_where_all_rate_from_one_to_ten_nobody_disagrees() -> None:
    assert not any(log.disagreements for log in compare_markets([row(m, "rating", 500, 1.0, 10.0) for m in "AB"], 0.5))
