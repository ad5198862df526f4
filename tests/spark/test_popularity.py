"""Popularity per market: the formula, scarce markets, decay."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from xlrec.config.models import PopularityConfig
from xlrec.kernels.history.visits import Visits
from xlrec.recommenders import popularity
from xlrec.tables import EVENTS, ITEMS
from xlrec.training.recommender.logs import Logs
from xlrec.training.recommender.scores import popularity_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RUN_DATE = date(2024, 3, 1)
START = datetime(2024, 3, 1, tzinfo=UTC)
LOG = [
    ("JP", 0, 0, 1.0),
    ("JP", 0, 30, 1.0),
    ("JP", 1, 60, 4.0),
    ("US", 1, 0, 2.0),
    ("US", 2, 0, 0.0),
    ("US", 3, -9, 1),
]
"""(market, item_num, days before RUN_DATE, weight)."""
DECAYED = {("JP", 0): 1.5, ("JP", 1): 1.0, ("US", 1): 2.0, ("US", 3): 1.0}


def events(spark: "SparkSession") -> "DataFrame":
    rows = [
        ("u", f"i{num}", num, START - timedelta(days=days), "view", None, market, float(weight))
        for market, num, days, weight in LOG
    ]
    return spark.createDataFrame(rows, EVENTS.schema)


def items(spark: "SparkSession") -> "DataFrame":
    rows: list[Any] = [
        {"item_id": f"i{num}", "item_num": num, "markets": ["JP", "BR"] if num == 2 else None, "available": True}
        for num in range(5)
    ]
    return spark.createDataFrame(rows, ITEMS.schema)


def fitted(spark: "SparkSession", n_parts: int = 1, **config: float) -> dict[tuple[str, int], float]:
    rows = popularity.fit_popularity(
        events(spark).repartition(n_parts), items(spark), PopularityConfig(**config), RUN_DATE
    )
    return {(row.market, row.item_num): row.score for row in rows.collect()}


def test_scores_are_smoothed_shares_of_decayed_weight(spark: "SparkSession") -> None:
    found = fitted(spark, half_life_days=30, prior_strength=2)
    everywhere = {num: sum(w for (_, n), w in DECAYED.items() if n == num) / 5.5 for num in (0, 1, 3)}
    sizes = {"JP": 2.5, "US": 3.0, "BR": 0.0, "ZZ": 0.0}
    expected = {
        (market, num): (DECAYED.get((market, num), 0) + 2 * share) / (size + 2)
        for market, size in sizes.items()
        for num, share in everywhere.items()
    }
    assert found == pytest.approx(expected, rel=1e-9)


def test_training_counts_popularity_by_the_same_rule(spark: "SparkSession") -> None:
    config, past = PopularityConfig(half_life_days=30, prior_strength=2), [one for one in LOG if one[2] >= 0 < one[3]]
    here = events(spark).where(f"timestamp <= '{START.isoformat()}'")
    found = {
        (row.market, row.item_num): row.score
        for row in popularity.fit_popularity(here, items(spark), config, RUN_DATE).collect()
    }
    markets, nums, days, weights = (np.array(column) for column in zip(*past, strict=True))
    names, moment = ["BR", "JP", "US", "ZZ"], START.timestamp() * 1e6
    micros = (moment - days.astype(float) * 86_400e6).astype(np.int64)
    none = Visits(np.zeros(2, np.int64), *(np.zeros(0, kind) for kind in (np.int32, np.int64, float)))
    logs = Logs(
        none, np.zeros(1, np.int32), np.zeros((1, 0), np.float32), np.zeros(len(nums), np.int32),
        nums.astype(np.int32), micros, weights.astype(float), np.searchsorted(names, markets).astype(np.int32),
    )  # fmt: skip
    told = popularity_at(logs, len(names), 5, moment + 1, config)
    for row, name in enumerate(names):
        assert {num: found.get((name, num), 0.0) for num in range(5)} == pytest.approx(dict(enumerate(told[row])))


def test_a_market_without_events_is_as_everywhere_even_without_a_prior(spark: "SparkSession") -> None:
    found = fitted(spark, prior_strength=0)
    assert {num: found["BR", num] for num in (0, 1, 3)} == {num: found["ZZ", num] for num in (0, 1, 3)}
    assert sum(score for (market, _), score in found.items() if market == "BR") == pytest.approx(1)
    assert ("JP", 3) not in found


def test_no_positive_event_gives_an_empty_table(spark: "SparkSession") -> None:
    none = events(spark).where("weight > 99")
    assert popularity.fit_popularity(none, items(spark), PopularityConfig(), RUN_DATE).count() == 0


def test_the_same_bits_whatever_the_partitions(spark: "SparkSession") -> None:
    assert fitted(spark, 1) == fitted(spark, 5)
