"""The learnt recommender on Spark: what its shards hold, reuse, and several processes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.index_learnt import models_of, write_learnt
from xlrec.index_writer import write_arrays
from xlrec.pipeline.event_weights import kinds_of
from xlrec.recommenders import hybrid
from xlrec.stages.train import first_moments, user_logs
from xlrec.tables import EVENTS, ITEMS, USERS
from xlrec.training.recommender import learn
from xlrec.training.recommender.distributed import train_in_processes
from xlrec.training.recommender.event_weights import kinds_of as read_kinds
from xlrec.training.recommender.task import task_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

N_ITEMS, N_USERS = 50, 40
CONFIG = Config.model_validate(
    {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"},
     "train": {"hybrid": {"dim": 8, "batch": 64, "epochs": 2, "spans": 2}}}
)  # fmt: skip


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
    user_logs(users_of(spark), events_of(spark)).repartition(3).write.parquet(str(folder / "shards"))
    return str(folder / "index"), str(folder / "shards")


def test_shards_hold_no_user_ids_and_only_positive_events(prepared: tuple[str, str]) -> None:
    table = _table(prepared[1])
    assert set(table.schema.names) == {"user_key", "market", "languages", "language_weights", "log"}
    assert table.num_rows == N_USERS
    logs = table["log"].to_pylist()
    assert sum(len(log) for log in logs) == 6 * N_USERS
    assert all(event["weight"] > 0 for log in logs for event in log)


def test_shards_tell_the_kinds_of_events_where_they_are_asked_for(spark: "SparkSession", tmp_path: Path) -> None:
    rated = F.when(F.col("item_num") % 2 == 0, "rating").otherwise(F.col("event"))
    events = kinds_of(events_of(spark).withColumn("event", rated), CONFIG.prepare)  # no rating has a value
    user_logs(users_of(spark), events, kinds=True).write.parquet(str(tmp_path / "shards"))
    kinds = read_kinds(_table(str(tmp_path / "shards")))
    assert kinds.names == ("view",)
    nums = np.array([event["item_num"] for log in _by_key(tmp_path / "shards") for event in log])
    assert ((kinds.of == -1) == (nums % 2 == 0)).all()


def _by_key(folder: Path) -> list[Any]:
    logs: list[Any] = _table(str(folder)).sort_by("user_key")["log"].to_pylist()
    return logs


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


def test_the_index_gets_every_items_learnt_vector(
    spark: "SparkSession", prepared: tuple[str, str], tmp_path: Path
) -> None:
    index, shards = prepared
    model = learn(task_of(CONFIG, index, shards, np.full(N_ITEMS, np.nan)), _ids(index), {}, lambda _: None)
    other = hybrid.HybridModel(
        {**model.arrays, "adapter_out": 2 * model.arrays["adapter_out"]}, model.item_ids, model.facts
    )
    hybrid.save_all(model, {"JP": other}, tmp_path)
    rows = [(num, None if num % 2 else at(num).timestamp() * 1e6) for num in range(N_ITEMS) if num < 28 or num % 2]
    rows += [(num, None) for num in range(N_ITEMS) if num >= 28 and num % 2 == 0]
    moments = spark.createDataFrame(rows, "item_num int, first_micros double").repartition(5)
    write_learnt(index, str(tmp_path), moments, at(27).timestamp() * 1e6)
    models = models_of(ItemIndex.open(index))
    assert models is not None
    texts = np.concatenate([np.asarray(vectors) for _, vectors in ItemIndex.open(index).shards])
    for market, one in (("DE", model), ("JP", other), ("ZZ", model)):
        learnt = models.of(market)
        assert sum(len(vectors) for _, vectors in learnt.outputs) == N_ITEMS
        expected = one.outputs(texts, one.taught(_ids(index)))
        np.testing.assert_allclose(learnt.gather(np.arange(N_ITEMS), history=False), expected, atol=1e-6)


@pytest.mark.usefixtures("spark")
def test_two_processes_learn_what_one_does(prepared: tuple[str, str], tmp_path: Path) -> None:
    index, shards = prepared
    ages = np.full(N_ITEMS, np.nan)
    alone = learn(task_of(CONFIG, index, shards, ages), _ids(index), {}, lambda _: None)
    facts = {"folder": str(tmp_path / "two"), "told": {"encoder": "none"}}
    train_in_processes(2, index, shards, ages, CONFIG.model_dump_json(), facts)
    both = hybrid.load(str(tmp_path / "two"))
    assert both.facts["epochs"] == alone.facts["epochs"]
    for name in hybrid.ARRAYS:
        np.testing.assert_allclose(both.arrays[name], alone.arrays[name], atol=2e-3, err_msg=name)


def _ids(index: str) -> Any:
    return ItemIndex.open(index).item_ids
