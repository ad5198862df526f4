"""Evaluation end to end on a world small enough to compute by hand."""

from datetime import UTC, date, datetime
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds.index_arrays import write_arrays

from xlrec.config.models import EvaluateConfig
from xlrec.kernels.evaluation import bootstrap
from xlrec.stages.evaluate import (
    catalogue_coverage,
    ground_truth,
    item_reach,
    summarise_metrics,
    user_metrics,
)
from xlrec.tables import EVENTS, ITEMS, METRICS, RECOMMENDATIONS, USERS

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

NOW = datetime(2026, 1, 9, tzinfo=UTC)
CONFIG = EvaluateConfig(cutoffs=(2, 3), history_slices=(1, 2))
#: item_num -> languages; item 4 is cold, item 5 is sold nowhere
LANGUAGES = [["en"], ["en"], ["ja"], ["de", "ja"], ["en"], ["und"]]
VECTORS = np.array([[1, 0], [0, 1], [1, 0], [-1, 0], [0, 0], [0, 1]], dtype=np.float32)
HISTORY = [("ann", 0, 1.0), ("ann", 1, 0.0), ("bob", 0, 1.0), ("bob", 2, 1.0), ("cat", 3, 1.0), ("dan", 5, 1.0)]
HOLDOUT = [("ann", 2), ("ann", 4), ("bob", 1), ("cat", 0), ("new", 0)]
LISTS = {
    "xlrec": {"ann": [2, 3, 4], "bob": [3, 1], "dan": [0], "new": [1, 0]},  # cat has no list, dan no ground truth
    "popular": {"ann": [3, 2], "bob": [4], "cat": [1, 0], "dan": [0], "new": [2]},
}


def event_rows(rows: list[tuple[str, int, float]]) -> list[tuple[Any, ...]]:
    return [(user, f"i{item}", item, NOW, "click", None, "ZZ", weight) for user, item, weight in rows]


def list_rows(lists: dict[str, list[int]]) -> list[tuple[Any, ...]]:
    return [
        ("r", date(2026, 1, 9), "ZZ", user, rank, f"i{item}", 1.0 / rank, LANGUAGES[item][0], "similar", None)
        for user, found in lists.items()
        for rank, item in enumerate(found, 1)
    ]


class World:
    """The tables of the tiny world."""

    def __init__(self, spark: "SparkSession", folder: Path) -> None:
        markets: list[list[str] | None] = [None, ["JP"], ["JP"], None, None, []]
        items: list[tuple[Any, ...]] = [(f"i{n}", n, LANGUAGES[n], [], markets[n], None, None, True) for n in range(6)]
        users = [
            ("ann", "DE", ["en", "ja"], [0.75, 0.25], True),
            ("bob", "JP", ["ja"], [1.0], False),
            ("cat", "JP", [], [], False),
            ("dan", "DE", ["en"], [1.0], False),
        ]
        self.items = spark.createDataFrame(items, ITEMS.schema)
        self.users = spark.createDataFrame(users, USERS.schema)
        self.history = spark.createDataFrame(event_rows(HISTORY), EVENTS.schema)
        self.holdout = spark.createDataFrame(event_rows([(u, i, 1.0) for u, i in HOLDOUT]), EVENTS.schema)
        self.lists = {
            name: spark.createDataFrame(list_rows(lists), RECOMMENDATIONS.schema) for name, lists in LISTS.items()
        }
        self.index = str(folder)
        write_arrays(
            folder, item_ids=[f"i{n}" for n in range(6)], vectors=VECTORS, languages=LANGUAGES, categories=[[]] * 6,
            markets=markets, available=[True] * 6, neighbours=[], popularity=[],
        )  # fmt: skip
        self.truth = ground_truth(self.holdout, self.history, self.users, self.items, CONFIG).cache()
        self.reach = item_reach(self.items, self.history).cache()

        self.scores = {
            name: user_metrics(lists, self.truth, self.reach, CONFIG, index=self.index, system=name).cache()
            for name, lists in self.lists.items()
        }

    def metrics(self, n_partitions: int = 2, n_bootstrap: int = 200) -> "list[Row]":
        scores = self.scores["xlrec"].union(self.scores["popular"]).repartition(n_partitions)
        covered = [catalogue_coverage(lists, self.items, CONFIG, system=name) for name, lists in self.lists.items()]
        found = summarise_metrics(
            scores, covered[0].union(covered[1]),
            split="time", evaluated_at=NOW, seed=3, n_bootstrap=n_bootstrap,
        )  # fmt: skip
        assert [(f.name, f.dataType) for f in found.schema] == [(f.name, f.dataType) for f in METRICS.schema]
        return sorted(found.collect(), key=lambda row: (row["system"], row["slice"], row["metric"]))


@pytest.fixture(scope="module")
def world(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(spark, tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def metrics(world: World) -> "list[Row]":
    return world.metrics()


def find(rows: "list[Row]", system: str, name: str, metric: str) -> "Row":
    return next(r for r in rows if (r["system"], r["slice"], r["metric"]) == (system, name, metric))


def test_the_ground_truth_knows_slices_cold_and_foreign_items(world: World) -> None:
    rows = {row["user_id"]: row for row in world.truth.collect()}
    assert {user: (row["relevant"], row["cold"], row["foreign"]) for user, row in rows.items()} == {
        "ann": ([2, 4], [4], [2]),  # read en only
        "bob": ([1], [], []),
        "cat": ([0], [], [0]),  # read de and ja
        "new": ([0], [], []),  # without history nothing is foreign
    }
    assert rows["ann"]["slices"] == ["all", "market=DE", "language=en", "history=1", "cold_items=yes"]
    assert rows["bob"]["slices"] == ["all", "market=JP", "language=ja", "history=2+", "cold_items=no"]
    assert rows["new"]["slices"] == ["all", "market=ZZ", "language=und", "history=0", "cold_items=no"]


def test_every_user_is_scored_as_by_hand(world: World) -> None:
    found = {row["user_id"]: row.asDict() for row in world.scores["xlrec"].collect()}
    assert set(found) == {"ann", "bob", "cat", "new"}
    ann = found["ann"]
    assert ann["ndcg@2"] == pytest.approx(1 / (1 + 1 / log2(3)))
    assert ann["ndcg@3"] == pytest.approx((1 + 1 / log2(4)) / (1 + 1 / log2(3)))
    assert (ann["recall@2"], ann["recall@3"], ann["mrr@3"], ann["hit_rate@2"]) == (0.5, 1, 1, 1)
    assert ann["map@3"] == pytest.approx((1 + 2 / 3) / 2)
    assert (ann["cross_lingual_recall@2"], ann["cold_item_recall@2"], ann["cold_item_recall@3"]) == (1, 0, 1)
    # 4 users in history; items 2 and 3 have one each, item 4 nobody
    assert ann["novelty@2"] == pytest.approx(log2(5 / 2))
    assert ann["novelty@3"] == pytest.approx((2 * log2(5 / 2) + log2(5)) / 3)
    assert ann["diversity@2"] == pytest.approx(2)  # opposite vectors
    assert ann["diversity@3"] == pytest.approx(1 - (-1 + 0 + 0) / 3)
    # lists' languages: ja, de, en; she reads en 0.75, ja 0.25
    assert ann["language_mix_error@2"] == pytest.approx(1 - 0.25)
    assert ann["language_mix_error@3"] == pytest.approx(1 - 1 / 3 - 0.25)
    assert found["bob"]["mrr@2"] == found["new"]["mrr@2"] == 0.5


def test_a_user_without_a_list_scores_0_and_unmeasurable_metrics_are_null(world: World) -> None:
    found = {row["user_id"]: row.asDict() for row in world.scores["xlrec"].collect()}
    assert {found["cat"][f"{m}@3"] for m in ("ndcg", "recall", "mrr", "map", "hit_rate", "cross_lingual_recall")} == {0}
    assert (found["cat"]["novelty@3"], found["cat"]["diversity@3"]) == (0, 0)
    assert found["cat"]["language_mix_error@3"] is None  # nobody knows what cat reads
    assert found["cat"]["cold_item_recall@3"] is None
    assert found["bob"]["cross_lingual_recall@3"] is None


def test_coverage_is_of_the_items_that_are_sold_somewhere(metrics: "list[Row]") -> None:
    assert find(metrics, "xlrec", "all", "coverage@2")["value"] == 4 / 5
    row = find(metrics, "xlrec", "all", "coverage@3")
    assert (row["value"], row["low"], row["difference"]) == (1, None, None)
    assert find(metrics, "popular", "all", "coverage@3")["difference"] == 0


def test_means_are_over_the_users_that_can_be_measured(metrics: "list[Row]") -> None:
    row = find(metrics, "xlrec", "all", "recall@3")
    assert (row["value"], row["n_users"]) == (pytest.approx(3 / 4), 4)
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    assert find(metrics, "xlrec", "all", "cross_lingual_recall@3")["n_users"] == 2
    assert find(metrics, "xlrec", "market=JP", "recall@2")["value"] == pytest.approx(0.5)
    assert not [r for r in metrics if r["slice"] == "cold_items=no" and r["metric"] == "cold_item_recall@3"]
    assert {(row["split"], row["evaluated_at"].astimezone(UTC)) for row in metrics} == {("time", NOW)}


def test_differences_to_xlrec_are_paired_as_brute_force_pairs_them(
    spark: "SparkSession", world: World, metrics: "list[Row]"
) -> None:
    ours, theirs = (
        {row["user_id"]: row["ndcg@3"] for row in world.scores[system].collect()} for system in ("xlrec", "popular")
    )
    keys = spark.createDataFrame([(u,) for u in sorted(ours)], "u string").selectExpr("u", "xxhash64(u) AS h").collect()
    weights = bootstrap.poisson_weights(np.array([row["h"] for row in keys]), 3, 200)
    gaps = np.array([ours[row["u"]] - theirs[row["u"]] for row in keys])
    expected = [float(w @ gaps / w.sum()) for w in weights.T if w.sum()]
    row = find(metrics, "popular", "all", "ndcg@3")
    assert row["difference"] == pytest.approx(gaps.mean())
    ends = np.quantile(expected, [0.025, 0.975])
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(ends), abs=1e-5)
    tail = min(sum(g <= 1e-9 for g in expected), sum(g >= -1e-9 for g in expected))
    assert row["p_value"] == pytest.approx(min(1, 2 * (1 + tail) / (1 + len(expected))))
    assert find(metrics, "xlrec", "all", "ndcg@3")["difference"] is None


def test_metrics_are_equal_to_the_last_bit_whatever_the_partitions(world: World, metrics: "list[Row]") -> None:
    assert world.metrics(n_partitions=5) == metrics
