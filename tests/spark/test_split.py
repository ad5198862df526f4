"""History and holdout: nothing of the future in history, nothing in the holdout that nobody could hit."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from xlrec.config.models import EvaluateConfig
from xlrec.stages.split import describe_split, evaluation_date, split_events, time_cut
from xlrec.tables import EVENTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2026, 1, 1, tzinfo=UTC)
LAST = EvaluateConfig(split="last", holdout_last=1)


def events(spark: "SparkSession", rows: Sequence[tuple[str, int, float, float]]) -> "DataFrame":
    """Rows of (user, item_num, hours after the start, weight)."""
    full = [
        (user, f"i{item}", item, START + timedelta(hours=hours), "click", None, "ZZ", weight)
        for user, item, hours, weight in rows
    ]
    return spark.createDataFrame(full, EVENTS.schema)


def pairs(frame: "DataFrame") -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in frame.select("user_id", "item_num").collect())


def cut_hours(frame: "DataFrame", share: float) -> float:
    row = time_cut(frame, share).first()
    assert row is not None
    return float((row["cut"].astimezone(UTC) - START) / timedelta(hours=1))


def test_the_newest_share_of_the_events_is_held_out(spark: "SparkSession") -> None:
    log = events(spark, [("a", n, n, 1.0) for n in range(8)] + [("b", 0, 8, 1.0), ("b", 1, 9, 1.0)])
    history, holdout = split_events(log, EvaluateConfig(holdout_share=0.3))
    assert cut_hours(log, 0.3) == 7
    assert pairs(history) == [("a", n) for n in range(7)]
    assert pairs(holdout) == [("a", 7), ("b", 0), ("b", 1)]
    assert history.schema == holdout.schema == log.schema


@pytest.mark.parametrize("share", [0.001, 0.37, 0.999])
def test_the_cut_is_exact_whatever_the_partitions(spark: "SparkSession", share: float) -> None:
    # moments from microseconds to years apart, with ties
    hours = [n * n * 7.3 if n % 3 else (n // 9) * 1e-9 + 100 for n in range(60)]
    rows = [("a", n, hour, 1.0) for n, hour in enumerate(hours)]
    moments = sorted(START + timedelta(hours=hour) for hour in hours)
    expected = moments[len(moments) - max(1, round(len(moments) * share))]
    for n_partitions in (1, 5):
        row = time_cut(events(spark, rows).repartition(n_partitions), share).first()
        assert row is not None
        assert row["cut"].astimezone(UTC) == expected


def test_events_before_1970_are_cut_too(spark: "SparkSession") -> None:
    log = events(spark, [("a", n, -24 * 365 * 50 - n, 1.0) for n in range(4)])
    assert cut_hours(log, 0.25) == -24 * 365 * 50


def test_events_of_one_moment_lie_on_one_side(spark: "SparkSession") -> None:
    log = events(spark, [("a", 1, 0, 1.0), ("a", 2, 5, 1.0), ("b", 3, 5, 1.0), ("b", 4, 5, 1.0)])
    history, holdout = split_events(log, EvaluateConfig(holdout_share=0.25))
    assert (pairs(history), pairs(holdout)) == ([("a", 1)], [("a", 2), ("b", 3), ("b", 4)])


def test_the_holdout_has_positives_once_and_nothing_seen(spark: "SparkSession") -> None:
    log = events(
        spark,
        [
            *(("a", 1, 0, 1.0), ("a", 2, 1, 0.0), ("a", 3, 2, 1.0), ("a", 4, 3, 1.0)),  # history
            *(("a", 2, 9, 3.0), ("a", 5, 9, 0.0), ("a", 6, 9, 1.0), ("a", 6, 10, 1.0)),
        ],
    )
    config = EvaluateConfig(holdout_share=0.5)
    assert pairs(split_events(log, config)[1]) == [("a", 6)]
    assert pairs(split_events(log, config, exclude_seen=False)[1]) == [("a", 2), ("a", 6)]


def test_no_events_split_into_nothing(spark: "SparkSession") -> None:
    for config in (EvaluateConfig(), LAST):
        history, holdout = split_events(events(spark, []), config)
        assert pairs(history) == pairs(holdout) == []


def test_each_users_newest_positive_is_held_out_and_what_follows_it_dropped(spark: "SparkSession") -> None:
    log = events(
        spark,
        [
            *(("a", 1, 0, 1.0), ("a", 2, 1, 1.0), ("a", 4, 2, 1.0), ("a", 3, 2, 1.0), ("a", 9, 5, 0.0)),
            *(("b", 1, 0, 0.0), ("b", 2, 3, 1.0)),  # no positive would be left: kept whole
            ("c", 1, 0, 0.0),
            *(("d", 1, 0, 1.0), ("d", 1, 1, 1.0)),  # chosen again: nothing to hit
        ],
    )
    history, holdout = split_events(log, LAST)
    assert pairs(holdout) == [("a", 3)]
    assert pairs(history) == [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1), ("d", 1)]


def test_several_newest_positives_are_held_out(spark: "SparkSession") -> None:
    log = events(spark, [("a", n, n, 1.0) for n in range(5)] + [("b", n, n, 1.0) for n in range(2)])
    history, holdout = split_events(log, EvaluateConfig(split="last", holdout_last=2))
    assert pairs(holdout) == [("a", 3), ("a", 4)]
    assert pairs(history) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)]


def test_the_evaluated_run_is_dated_the_day_after_its_history(spark: "SparkSession") -> None:
    row = evaluation_date(events(spark, [("a", 1, 0, 1.0), ("a", 2, 47, 1.0)])).first()
    assert row is not None
    assert row["run_date"] == date(2026, 1, 3)


def test_the_split_is_told_in_words() -> None:
    assert describe_split(EvaluateConfig(holdout_share=0.125)) == "time: newest 12.5 % of the events"
    assert describe_split(LAST) == "last: newest 1 of each user"
    assert (
        describe_split(LAST.model_copy(update={"inner": True}))
        == "last: newest 1 of each user of the history (inner split)"
    )
