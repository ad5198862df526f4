"""The learnt recommender on Spark: what its shards hold, and what of it lies in the index."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from worlds.index_arrays import write_arrays

from xlrec.config.models import FactorsConfig
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import models_of, places_of, write_learnt
from xlrec.pipeline.learning import first_moments_array
from xlrec.recommenders.factors import FactorModel
from xlrec.stages.train import first_moments, logs_by_user
from xlrec.tables import EVENTS, ITEMS, USERS
from xlrec.training.recommender import fit_factor_model
from xlrec.training.recommender.logs import items_from_index, logs_before, read_logs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

N_ITEMS, N_USERS = 50, 40
CONFIG = FactorsConfig(dim=8)


def at(day: int) -> datetime:
    return datetime(2026, 1, 1 + day, tzinfo=UTC)


def events_of(spark: "SparkSession") -> "DataFrame":
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user:02d}", f"i{num:02d}", int(num), at(place), "view", None, "DE" if user % 2 else "JP", 1.0)
        for user in range(N_USERS)
        for place, num in enumerate(rng.choice(N_ITEMS - 5, 6, replace=False))
    ]
    rows.append(("u00", "i49", 49, at(9), "view", None, "DE", 0.0))
    return spark.createDataFrame(rows, EVENTS.schema)


def users_of(spark: "SparkSession") -> "DataFrame":
    rows = [
        (f"u{user:02d}", "DE" if user % 2 else "JP", ["de", "ja"], [user / N_USERS, 1 - user / N_USERS], True)
        for user in range(N_USERS)
    ]
    return spark.createDataFrame(rows, USERS.schema)


@pytest.fixture(scope="module")
def prepared(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(index, shards)."""
    folder = tmp_path_factory.mktemp("learning")
    vectors = np.random.default_rng(1).normal(size=(N_ITEMS, 12))
    write_arrays(
        folder / "index", item_ids=[f"i{num:02d}" for num in range(N_ITEMS)],
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True), shard_rows=20,
        languages=[["de"] if num % 3 else ["ja"] for num in range(N_ITEMS)],
        popularity=[("DE", 1, 0.5), ("JP", 2, 0.5)],
    )  # fmt: skip
    logs_by_user(users_of(spark), events_of(spark)).repartition(3).write.parquet(str(folder / "shards"))
    return str(folder / "index"), str(folder / "shards")


def test_shards_hold_no_user_ids_and_only_positive_events(prepared: tuple[str, str]) -> None:
    table = _table(prepared[1])
    assert set(table.schema.names) == {"user_key", "market", "languages", "language_weights", "log"}
    assert table.num_rows == N_USERS
    logs = table["log"].to_pylist()
    assert sum(len(log) for log in logs) == 6 * N_USERS
    assert all(event["weight"] > 0 for log in logs for event in log)


def _table(folder: str) -> pa.Table:
    import pyarrow.dataset as ds

    return ds.dataset(folder, format="parquet").to_table()


def test_the_first_moment_is_the_earlier_of_availability_and_first_event(spark: "SparkSession") -> None:
    rows: list[Any] = [
        ("i00", 0, ["de"], [], None, at(3), None, True),
        ("i01", 1, ["de"], [], None, None, None, True),
        ("i49", 49, ["de"], [], None, at(20), None, True),
        ("new", 50, ["de"], [], None, None, None, True),
    ]
    found = first_moments(spark.createDataFrame(rows, ITEMS.schema), events_of(spark))
    got = {row["item_num"]: row["first_micros"] for row in found.collect()}
    assert got[0] <= at(3).timestamp() * 1e6
    assert got[49] == at(9).timestamp() * 1e6
    assert got[1] is not None
    assert got[50] is None


def test_the_index_gets_every_items_learnt_vector(spark: "SparkSession", prepared: tuple[str, str]) -> None:
    index, shards = prepared
    opened, unknown = ItemIndex.open_folder(index), np.full(N_ITEMS, np.nan)
    logs, items = read_logs(shards, opened), items_from_index(opened, unknown)
    serving: dict[str | None, FactorModel] = {}
    for name, some in ((None, logs), ("JP", logs_before(logs, logs.markets == opened.market_num("JP")))):
        serving[name] = fit_factor_model(
            some, items, CONFIG, markets=opened.markets, item_ids=opened.item_ids, facts={}, seed=0
        )
    micros = [None if num % 2 else at(num % 28).timestamp() * 1e6 for num in range(N_ITEMS)]
    moments = spark.createDataFrame(list(enumerate(micros)), "item_num int, first_micros double").repartition(5)
    first = first_moments_array(moments, N_ITEMS)
    write_learnt(index, serving, first)
    models = models_of(ItemIndex.open_folder(index))
    assert models is not None
    names = ["DE", "JP", "ZZ"]
    served = {name: models.each[place] for name, place in zip(names, places_of(models, names), strict=True)}
    assert served["JP"].fingerprint != served["DE"].fingerprint
    np.testing.assert_array_equal(first, [np.nan if one is None else one for one in micros])
    for market, name in (("DE", None), ("JP", "JP"), ("ZZ", None)):
        learnt, model = served[market], serving[name]
        assert sum(len(vectors) for _, vectors in learnt.outputs) == N_ITEMS
        found = model.item_factors(items.texts, model.factor_rows(opened.item_ids))
        exposure = model.item_exposure(first, items.eligible, opened.markets)
        everything = np.arange(N_ITEMS)
        np.testing.assert_allclose(
            learnt.gather(everything, history=False), model.candidate_vectors(found, exposure), atol=1e-6
        )
        np.testing.assert_allclose(learnt.gather(everything, history=True), model.history_vectors(found), atol=1e-6)
