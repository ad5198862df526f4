"""Markets that log differently: stars of 5 or 10, thumbs, views or purchases only, none; each by its own scale."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from xlrec.config.models import PrepareConfig
from xlrec.lake.inputs import conform_input
from xlrec.stages import prepare as p
from xlrec.tables import INTERACTIONS

DAY = date(2026, 3, 2)
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
NAN = float("nan")
#: Market to (event, values); NaN is read as no value.
LOGS: dict[str | None, tuple[str, list[float | None]]] = {
    "DE": ("rating", [1.0, 2.0, 3.0, 3.5, 4.0, 4.5, 5.0, None, NAN]),
    "jp ": ("rating", [1.0, 4.0, 6.0, 6.0, 6.0, 8.0, 9.0, 10.0]),
    "US": ("rating", [0.0] * 2 + [1.0] * 8),
    "FR": ("rating", [0.0] * 9 + [1.0]),
    "BR": ("rating", [1.0] * 3),
    None: ("rating", [-1.0, 1.0]),
    "IN": ("view", [None, 7.0]),
    "EG": ("purchase", [None] * 2),
}
#: Which values show a preference, by scale. Of the Japanese 1 4 6 6 6 8 9 10, 6 has the mid-rank (2 + 1.5) / 8.
UPPER = {
    "DE": {3.5, 4.0, 4.5, 5.0, None}, "JP": {8.0, 9.0, 10.0}, "US": {1.0}, "FR": {1.0}, "BR": {1.0}, "ZZ": {1.0},
}  # fmt: skip
STARS = {"DE": {4.0, 4.5, 5.0, None}, "JP": {4.0, 6.0, 8.0, 9.0, 10.0}}
ALWAYS: dict[str, set[float | None]] = {"IN": {None, 7.0}, "EG": {None}}


def interactions(spark: SparkSession, n_parts: int) -> DataFrame:
    rows = [
        (f"{market} {n}", "i", NOON + timedelta(minutes=n), event, value, market)
        for market, (event, values) in LOGS.items()
        for n, value in enumerate(values)
    ]
    loose = StructType([StructField(f.name, f.dataType) for f in INTERACTIONS.fields])
    frame = spark.createDataFrame(rows if n_parts == 1 else rows[::-1], loose).repartition(n_parts)
    return conform_input(frame, INTERACTIONS, {}, "interactions")


def events(spark: SparkSession, config: PrepareConfig, n_parts: int = 1) -> DataFrame:
    items = spark.createDataFrame([("i", 0)], "item_id string, item_num int")
    nobody = spark.createDataFrame([], "user_id string")
    return p.events_of(p.mark_interactions(interactions(spark, n_parts), items, nobody, config, DAY), config)


def liked(rows: list[Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["weight"] > 0:
            found[row["market"]].add(str(row["value"]))
    return dict(found)


def texts(values: dict[str, set[float | None]]) -> dict[str, set[str]]:
    return {market: {str(value) for value in some} for market, some in values.items()}


@pytest.mark.parametrize("n_parts", [1, 4])
@pytest.mark.parametrize(
    ("scale", "expected"),
    [("auto", {**UPPER, "DE": STARS["DE"]}), ("quantile", UPPER), ("threshold", STARS)],
)
def test_each_market_and_kind_tells_by_its_own_scale_what_is_liked(
    spark: SparkSession, scale: Any, expected: dict[str, set[float | None]], n_parts: int
) -> None:
    rows = events(spark, PrepareConfig(rating_scale=scale), n_parts).collect()
    assert len(rows) == sum(len(values) for _, values in LOGS.values())  # the poor ones stay, as seen
    assert liked(rows) == texts({**expected, **ALWAYS})
    assert {row["weight"] for row in rows if row["market"] == "EG"} == {3.0}


def test_how_markets_log_is_counted_by_kind_with_the_scale_of_their_ratings(spark: SparkSession) -> None:
    config = PrepareConfig(event_weights={"purchase": 3.0})
    found = {(r["market"], r["kind"]): r.asDict() for r in p.logs_by_market(events(spark, config), config).collect()}
    assert set(found) == {(m, "rating") for m in UPPER} | {("IN", "other"), ("EG", "purchase")}
    german = {"market": "DE", "kind": "rating", "n": 9, "n_rated": 7, "low": 1.0, "high": 5.0, "n_positive": 3}
    assert found["DE", "rating"] == german
    assert (found["IN", "other"]["n_rated"], found["IN", "other"]["high"]) == (0, None)
    assert not any(log.disagreements for log in p.compare_markets(found.values(), 0.5))  # too few events to judge
