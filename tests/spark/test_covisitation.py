"""Co-visitation of markets against loops and dense regressions, and how work is cut."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds.pair_scores import oracle

from xlrec.config.models import CovisitationConfig
from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.history.covisits import ChoiceLogs
from xlrec.kernels.history.visits import Visits
from xlrec.recommenders import covisitation
from xlrec.runtime.files import Files
from xlrec.tables import EVENTS, ITEMS
from xlrec.training.recommender.item_neighbours import item_neighbours
from xlrec.training.recommender.logs import Logs as TrainingLogs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2024, 3, 1, tzinfo=UTC)
N_ITEMS = 9
Log = dict[str, list[tuple[int, float, float, str | None]]]
"""Per user: (item_num, days before START, weight, market)."""
Table = dict[str, dict[tuple[int, int], float]]
"""{market: {(item, neighbour): score}}"""


def frame(spark: "SparkSession", logs: Log) -> "DataFrame":
    rows = [
        (user, f"i{num}", num, START - timedelta(days=days), "view", None, market, float(weight))
        for user, log in logs.items()
        for num, days, weight, market in log
    ]
    return spark.createDataFrame(rows, EVENTS.schema)


def catalogue(spark: "SparkSession", markets: dict[int, list[str]], n_items: int = N_ITEMS) -> "DataFrame":
    """Items, sold everywhere where `markets` says nothing."""
    names = ("item_id", "item_num", "markets", "languages", "categories", "available")
    rows: list[Any] = [
        dict(zip(names, (f"i{num}", num, markets.get(num), [], [], True), strict=True)) for num in range(n_items)
    ]
    return spark.createDataFrame(rows, ITEMS.schema)


def expected(logs: Log, config: CovisitationConfig, markets: list[str], sold: dict[int, list[str]]) -> Table:
    each, homes = [], []
    for log in logs.values():
        newest: dict[int, tuple[float, str | None]] = {}
        for num, days, weight, market in sorted(log, key=lambda event: -event[1]):
            if weight > 0:
                newest[num] = (-days, market)
        run = sorted((days, num) for num, (days, _) in newest.items())[-config.max_history :]
        if run:
            each.append(run)
            homes.append(markets.index(newest[run[-1][1]][1] or "ZZ"))
    nums = np.array([num for run in each for _, num in run], dtype=np.int32)
    micros = np.array([round(days * 86_400_000_000) for run in each for days, _ in run], dtype=np.int64)
    rows = ChoiceLogs(indptr_of(np.array([len(run) for run in each])), nums, micros, np.array(homes, dtype=np.int32))
    found: Table = {}
    for code, market in enumerate(markets):
        scores = oracle(rows, N_ITEMS, code, covisitation.mixture_of(config), covisitation.rules_of(config))
        here = [num for num in range(N_ITEMS) if market in sold.get(num, markets)]
        found[market] = {(h, i): scores[h, i] for h in range(N_ITEMS) for i in here if scores[h, i] > 1e-12}
    return found


def fitted(events: "DataFrame", items: "DataFrame", config: CovisitationConfig, folder: Path) -> Table:
    found: Table = {}
    for row in covisitation.fit_neighbours(events, items, config, Files(str(folder))).collect():
        found.setdefault(row.market, {})[row.item_num, row.neighbour_num] = row.score
    return found


def random_logs(seed: int) -> Log:
    """Users who move between markets; some events name none, and weight 0 chooses nothing."""
    rng = np.random.default_rng(seed)
    logs: Log = {}
    for user in range(25):
        nums, days = rng.integers(0, N_ITEMS, 6), rng.permutation(400)[:6]
        weights, homes = rng.choice([0, 0.5, 2], 6), rng.integers(0, 3, 6)
        logs[f"u{user}"] = [
            (int(num), float(day) / 4, float(weight), (None, "US", "JP")[home])
            for num, day, weight, home in zip(nums, days, weights, homes, strict=True)
        ]
    return logs


SOLD = {0: ["US"], 1: [], 2: ["JP", "DE"], 3: ["US", "JP"]}
MARKETS = ["DE", "JP", "US", "ZZ"]


@pytest.mark.parametrize(
    "config",
    [
        CovisitationConfig(predictors=4, penalty=2.0),
        CovisitationConfig(window_items=1, max_gap_days=9, max_history=3, other_markets=0.5, normalisation=0.5),
        CovisitationConfig(regression=False, sequence=1, distance_decay=0, gap_half_life_days=1e9, other_markets=0),
    ],
)
def test_scores_are_those_of_the_obvious_loop(
    spark: "SparkSession", tmp_path: Path, config: CovisitationConfig
) -> None:
    logs = random_logs(3)
    found = fitted(frame(spark, logs), catalogue(spark, SOLD), config, tmp_path)
    for market, scores in expected(logs, config, MARKETS, SOLD).items():
        assert found.get(market, {}) == pytest.approx(scores, rel=1e-8), market
    assert not any(neighbour == 1 for scores in found.values() for _, neighbour in scores)  # sold nowhere
    assert {neighbour for _, neighbour in found.get("DE", {})} <= {2, *range(4, N_ITEMS)}  # no logs, items nevertheless


def test_one_process_gives_the_bits_of_the_tasks(spark: "SparkSession", tmp_path: Path) -> None:
    logs, config = random_logs(8), CovisitationConfig(predictors=5, max_history=4)
    found = fitted(frame(spark, logs), catalogue(spark, SOLD), config, tmp_path)
    rows = [(user, *event) for user, log in enumerate(logs.values()) for event in log if event[2] > 0]
    users, nums, days, weights, names = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    codes = np.array([MARKETS.index(name or "ZZ") for name in names], dtype=np.int32)
    micros = (-days.astype(float) * 86_400e6).astype(np.int64)
    arrays = users.astype(np.int32), nums.astype(np.int32), micros, weights.astype(float)
    none = Visits(np.zeros(len(logs) + 1, np.int64), *(np.zeros(0, kind) for kind in (np.int32, np.int64, float)))
    told = TrainingLogs(none, np.zeros(len(logs), np.int32), np.zeros((len(logs), 0), np.float32), *arrays, codes)
    sold = np.array([[market in SOLD.get(num, MARKETS) for num in range(N_ITEMS)] for market in MARKETS])
    for market, scores in zip(MARKETS, item_neighbours(told, sold, config), strict=True):
        cells = scores.tocoo()
        pairs = zip(cells.row.tolist(), cells.col.tolist(), strict=True)
        assert dict(zip(pairs, cells.data.tolist(), strict=True)) == found.get(market, {}), market


def test_item_knn_with_binary_cosine_is_one_setting_of_it(spark: "SparkSession", tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    chosen = rng.random((40, N_ITEMS)) < 0.4
    logs: Log = {
        f"u{user}": [(int(num), float(rng.integers(0, 300)), 1.0, "US") for num in np.flatnonzero(chosen[user])]
        for user in range(40)
    }
    config = CovisitationConfig(
        regression=False, sequence=1, other_markets=1, window_items=10**6, max_gap_days=1e9, gap_half_life_days=1e9,
        distance_decay=0, normalisation=0.5,
    )  # fmt: skip
    counts = chosen.T.astype(float) @ chosen
    found = fitted(frame(spark, logs), catalogue(spark, {}), config, tmp_path)
    assert found["US"] == found["ZZ"]
    for (num, other), score in found["US"].items():
        assert score == pytest.approx(counts[num, other] / math.sqrt(counts[num, num] * counts[other, other]), 1e-5)


def test_the_same_bits_whatever_the_partitions_and_the_order(spark: "SparkSession", tmp_path: Path) -> None:
    events, items, config = frame(spark, random_logs(5)), catalogue(spark, SOLD), CovisitationConfig()
    once = fitted(events.coalesce(1), items, config, tmp_path)
    assert fitted(events.orderBy("timestamp").repartition(7), items.orderBy("markets"), config, tmp_path) == once
    told = spark.conf.get("spark.sql.shuffle.partitions") or ""
    try:
        spark.conf.set("spark.sql.shuffle.partitions", "5")
        assert fitted(events, items, config, tmp_path) == once
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", told)


def test_no_events_make_no_neighbours(spark: "SparkSession", tmp_path: Path) -> None:
    nothing = spark.createDataFrame([], EVENTS.schema)
    assert fitted(nothing, catalogue(spark, SOLD), CovisitationConfig(), tmp_path) == {}
