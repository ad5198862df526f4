"""ALS and the other baselines: planted tastes are found, and the systems are what their names say."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds.index_arrays import write_arrays

from xlrec.config.models import AlsConfig, Config, EvaluateConfig, Inputs, RankConfig
from xlrec.errors import InputError
from xlrec.recommenders import als
from xlrec.recommenders.baselines import binary_events, compared_systems
from xlrec.runtime.files import Files
from xlrec.stages.rank import rank_candidates
from xlrec.stages.retrieve import retrieve_candidates
from xlrec.tables import EVENTS, ITEMS, USERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = date(2026, 1, 2)
CONFIG = AlsConfig(rank=4, iterations=2)
#: Even users choose even items, odd users odd ones; each leaves out one item of its taste.
LOG = [(f"u{u}", i, 1.0) for u in range(8) for i in range(8) if (u - i) % 2 == 0 and i != u] + [("u0", 7, 0.0)]


def events(spark: "SparkSession", rows: list[tuple[str, int, float]]) -> "DataFrame":
    when = datetime(2026, 1, 1, tzinfo=UTC)
    full = [(user, f"i{i}", i, when, "click", None, "ZZ", weight) for user, i, weight in rows]
    return spark.createDataFrame(full, EVENTS.schema)


def unpacked(frame: "DataFrame") -> dict[Any, np.ndarray[Any, np.dtype[np.float32]]]:
    return {row[0]: np.frombuffer(row["vector"], dtype="<f4") for row in frame.collect()}


@pytest.fixture(scope="module")
def fitted(spark: "SparkSession") -> "list[DataFrame]":
    return [frame.cache() for frame in als.fit_als(events(spark, LOG), CONFIG, seed=1)]


def test_als_finds_the_planted_taste_and_leaves_out_what_it_did_not_see(fitted: "list[DataFrame]") -> None:
    items, queries = (unpacked(frame) for frame in fitted)
    assert sorted(items) == list(range(8))
    assert sorted(queries) == [f"u{u}" for u in range(8)]
    for user, query in queries.items():
        taste = int(user[1:]) % 2
        scores = {item: float(query @ vector) for item, vector in items.items()}
        assert min(scores[i] for i in scores if i % 2 == taste) > max(scores[i] for i in scores if i % 2 != taste)


def test_many_sweeps_are_checkpointed_so_that_no_task_carries_them_all(spark: "SparkSession", tmp_path: Path) -> None:
    spark.sparkContext.setCheckpointDir(str(tmp_path))
    items, _ = als.fit_als(events(spark, LOG), CONFIG.model_copy(update={"iterations": 12}), seed=1)
    assert items.count() == 8
    assert list(tmp_path.rglob("rdd-*"))
    depth = len(str(items.rdd._jrdd.toDebugString()).splitlines())  # type: ignore[union-attr]
    assert depth < 120


def test_als_on_one_block_does_not_depend_on_order_or_partitions(spark: "SparkSession") -> None:
    rows = LOG * 2
    first = als.fit_als(events(spark, rows).repartition(1), CONFIG, seed=1, blocks=1)
    second = als.fit_als(events(spark, rows[::-1]).repartition(5), CONFIG, seed=1, blocks=1)
    for one, other in zip(first, second, strict=True):
        expected, found = unpacked(one), unpacked(other)
        assert expected.keys() == found.keys()
        for key, vector in expected.items():
            np.testing.assert_array_equal(found[key], vector)


def test_als_without_a_positive_event_says_so(spark: "SparkSession") -> None:
    with pytest.raises(InputError, match="positive weight"):
        als.fit_als(events(spark, [("u", 1, 0.0)]), CONFIG, seed=1)


def test_binary_events_are_one_a_user_and_item(spark: "SparkSession") -> None:
    log = events(spark, [("a", 1, 3.0), ("a", 1, 0.0), ("a", 2, 0.0), ("b", 1, 0.5)])
    found = binary_events(log)
    assert found.columns == log.columns
    assert sorted((r["user_id"], r["item_num"], r["weight"]) for r in found.collect()) == [
        ("a", 1, 1.0),
        ("a", 2, 0.0),
        ("b", 1, 1.0),
    ]


def test_itemknn_is_the_binary_cosine(spark: "SparkSession", tmp_path: Path) -> None:
    from xlrec.recommenders.covisitation import fit_neighbours

    log = [("a", 1, 3.0), ("a", 2, 1.0), ("b", 1, 1.0), ("b", 1, 1.0), ("b", 2, 2.0), ("c", 1, 1.0), ("c", 3, 1.0)]
    system = compared_systems(config())["itemknn"]
    rows = [{"item_id": f"i{num}", "item_num": num, "languages": [], "categories": []} for num in range(4)]
    items = spark.createDataFrame(rows, ITEMS.schema)
    neighbours = fit_neighbours(
        binary_events(events(spark, log)), items, system.config.train.covisitation, Files(str(tmp_path))
    )
    found = {
        (row["item_num"], row["neighbour_num"]): row["score"] for row in neighbours.where("market = 'ZZ'").collect()
    }
    cosine = {(1, 2): 2 / np.sqrt(3 * 2), (1, 3): 1 / np.sqrt(3 * 1)}
    assert found == {
        pair: pytest.approx(value)
        for a, b in cosine
        for pair, value in (((a, b), cosine[a, b]), ((b, a), cosine[a, b]))
    }


def config(languages: Any = "calibrated", **sections: Any) -> Config:
    inputs = Inputs(catalog="c", interactions="i")
    return Config(lake="lake", inputs=inputs, rank=RankConfig(languages=languages), **sections)


def test_the_systems_are_xlrec_its_sources_and_the_baselines() -> None:
    found = compared_systems(config())
    assert list(found) == ["xlrec", "similar", "covisited", "popular", "text", "itemknn", "als"]
    assert {name: system.model for name, system in found.items() if system.model != "own"} == {
        "itemknn": "itemknn",
        "als": "als",
    }
    assert all(system.config.k == 20 for system in found.values())  # the largest cut-off
    assert found["xlrec"].config.rank == config().rank
    assert not found["text"].config.train.factors.enabled
    assert all(system.config.train.factors.enabled for name, system in found.items() if name != "text")
    weights = found["popular"].config.rank.weights
    assert (weights.similar, weights.covisited, weights.popular) == (0, 0, 1)
    plain = found["als"].config.rank
    assert (plain.diversity, plain.near_duplicate, plain.languages) == (0, 1, "any")
    Config.model_validate(found["itemknn"].config.model_dump())  # updates skip validation: they must hold anyway


def test_plain_systems_have_candidates_of_their_own_where_xlrec_lists_the_users_languages_only() -> None:
    assert compared_systems(config("only"))["similar"].candidates == "own-any"
    assert compared_systems(config())["similar"].candidates == compared_systems(config())["xlrec"].candidates


def test_als_makes_lists_through_the_same_stages(
    spark: "SparkSession", fitted: "list[DataFrame]", tmp_path: Path
) -> None:
    log = events(spark, LOG)
    users = spark.createDataFrame([(f"u{u}", "ZZ", ["en"], [1.0], False) for u in range(8)], USERS.schema)
    system = compared_systems(config(evaluate=EvaluateConfig(cutoffs=(4,), als=CONFIG), k=4))["als"]
    vectors, queries = np.array([vector for _, vector in sorted(unpacked(fitted[0]).items())]), fitted[1]
    write_arrays(
        tmp_path, item_ids=[f"i{n}" for n in range(8)], vectors=vectors, languages=[["en"]] * 8, categories=[[]] * 8,
        markets=[None] * 8, available=[True] * 8, neighbours=[], popularity=[],
    )  # fmt: skip
    index = str(tmp_path)
    candidates = retrieve_candidates(users, log, system.config, index=index, queries=queries)
    lists = rank_candidates(candidates, system.config, index=index, run_id="als", run_date=DAY).collect()
    best = {row["user_id"]: row["item_id"] for row in lists if row["rank"] == 1}
    assert best == {f"u{u}": f"i{u}" for u in range(8)}  # the only item of the taste that is not seen
