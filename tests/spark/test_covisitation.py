"""Co-visitation against a plain Python oracle, and the planted cases that it must get right."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from xlrec.config import CovisitationConfig
from xlrec.recommenders import covisitation
from xlrec.tables import EVENTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RUN_DATE = date(2024, 3, 1)
START = datetime(2024, 3, 1, tzinfo=UTC)
Log = dict[str, list[tuple[int, float, float]]]
"""Per user: (item_num, days before RUN_DATE, weight)."""


def frame(spark: "SparkSession", logs: Log) -> "DataFrame":
    rows = [
        (user, f"i{num}", num, START - timedelta(days=days), "view", None, "US", float(weight))
        for user, log in logs.items()
        for num, days, weight in log
    ]
    return spark.createDataFrame(rows, EVENTS.schema)


def half(days: float, life: float) -> float:
    return float(0.5 ** (max(0.0, days) / life))


def oracle(logs: Log, config: CovisitationConfig) -> dict[int, list[tuple[int, float]]]:
    """{item: [(neighbour, score)]}, by the formula of `covisitation.fit`, pair after pair."""
    totals: dict[int, float] = {}
    values: dict[tuple[int, int], float] = {}
    for log in logs.values():
        positive = sorted((-days, num, weight) for num, days, weight in log if weight > 0)
        for time, num, weight in positive:
            totals[num] = totals.get(num, 0) + weight * half(-time, config.half_life_days)
        positive = positive[-config.max_history :]
        for i, (t_a, a, w_a) in enumerate(positive):
            for between, (t_b, b, w_b) in enumerate(positive[i + 1 : i + 1 + config.window_items]):
                if a != b and t_b - t_a <= config.max_gap_days:
                    value = math.sqrt(w_a * w_b) * half(t_b - t_a, config.gap_half_life_days)
                    value *= half(between, config.gap_half_life_items) * half(-t_b, config.half_life_days)
                    values[a, b] = values.get((a, b), 0) + value
                    values[b, a] = values.get((b, a), 0) + value * config.backward_weight
    norm = {num: (total + config.shrinkage) ** config.normalisation for num, total in totals.items()}
    found: dict[int, list[tuple[int, float]]] = {}
    for (a, b), value in values.items():
        if value > 0:
            found.setdefault(a, []).append((b, value / (norm[a] * norm[b])))
    return {a: sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[: config.neighbours] for a, pairs in found.items()}


def fitted(events: "DataFrame", config: CovisitationConfig) -> dict[int, list[tuple[int, float]]]:
    rows = sorted(covisitation.fit(events, config, RUN_DATE).collect(), key=lambda r: (r[0], -r[2], r[1]))
    found: dict[int, list[tuple[int, float]]] = {}
    for row in rows:
        found.setdefault(row.item_num, []).append((row.neighbour_num, row.score))
    return found


def random_logs(seed: int) -> Log:
    rng = np.random.default_rng(seed)
    return {
        f"u{user}": [
            (int(num), float(days) / 4, float(weight))
            for num, days, weight in zip(
                rng.integers(0, 9, 30), rng.integers(-4, 400, 30), rng.choice([0, 0.5, 1, 2], 30), strict=True
            )
        ]
        for user in range(6)
    }


@pytest.mark.parametrize(
    "config",
    [
        CovisitationConfig(),
        CovisitationConfig(window_items=3, max_gap_days=5, neighbours=3, max_history=12, backward_weight=0),
        CovisitationConfig(window_items=10**9, shrinkage=0, normalisation=1, backward_weight=1, gap_half_life_items=2),
    ],
)
def test_scores_are_those_of_the_obvious_loop(spark: "SparkSession", config: CovisitationConfig) -> None:
    logs = random_logs(3)
    found, expected = fitted(frame(spark, logs), config), oracle(logs, config)
    assert found.keys() == expected.keys()
    for num, pairs in expected.items():
        np.testing.assert_allclose([s for _, s in found[num]], [s for _, s in pairs], rtol=1e-9)
        if config.neighbours >= 9:
            assert dict(found[num]) == pytest.approx(dict(pairs), rel=1e-9)


def test_what_comes_soon_after_beats_what_comes_before_and_what_comes_late(spark: "SparkSession") -> None:
    logs: Log = {f"u{user}": [(0, 50, 1), (1, 49, 1), (2, 20, 1)] for user in range(3)}
    found = fitted(frame(spark, logs), CovisitationConfig())
    assert [num for num, _ in found[0]] == [1, 2]
    assert dict(found[1])[0] == pytest.approx(dict(found[0])[1] / 2)


def test_item_knn_with_binary_cosine_is_one_setting_of_it(spark: "SparkSession") -> None:
    rng = np.random.default_rng(1)
    chosen = rng.random((40, 8)) < 0.4
    logs: Log = {
        f"u{user}": [(int(num), float(rng.integers(0, 300)), 1.0) for num in np.flatnonzero(chosen[user])]
        for user in range(40)
    }
    config = CovisitationConfig(
        window_items=10**9, max_gap_days=1e9, gap_half_life_days=1e9, gap_half_life_items=1e9, half_life_days=1e9,
        backward_weight=1, shrinkage=0,
    )  # fmt: skip
    counts = chosen.T.astype(float) @ chosen
    for num, pairs in fitted(frame(spark, logs), config).items():
        for other, score in pairs:
            assert score == pytest.approx(counts[num, other] / math.sqrt(counts[num, num] * counts[other, other]), 1e-5)


def test_the_same_bits_whatever_the_partitions_and_the_order(spark: "SparkSession") -> None:
    events = frame(spark, random_logs(5))
    once = fitted(events.coalesce(1), CovisitationConfig())
    assert fitted(events.orderBy("timestamp").repartition(7), CovisitationConfig()) == once
