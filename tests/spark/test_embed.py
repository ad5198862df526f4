"""Embed in Spark: only what is new, the same rows whatever the partitions, one vector per item."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyspark import TaskContext
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.errors import EncoderError
from xlrec.kernels.base.vectors import vector_bytes
from xlrec.stages import embed as stage
from xlrec.tables import EMBEDDINGS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CONFIG = EmbedConfig(dim=32)
FINGERPRINT = encoders.fingerprint(CONFIG)
TITLES = {
    ("a", "en"): "bike helmet",
    ("a", "fr"): "casque de vélo",
    ("b", "en"): "bike helmet",
    ("c", "ja"): "ヘルメット",
    ("c", "zh"): "头盔",
    ("c", "en"): "",
}
ITEMS = {"a": 0, "b": 1, "c": 2, "d": 3}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def vector(text: str) -> bytes:
    return bytes(encoders.load(CONFIG).encode([text])[0].tobytes())


@pytest.fixture
def texts(spark: "SparkSession") -> "DataFrame":
    rows = [(item, language, text, digest(text)) for (item, language), text in TITLES.items()]
    return spark.createDataFrame(rows, "item_id string, language string, text string, text_hash string")


@pytest.fixture
def items(spark: "SparkSession") -> "DataFrame":
    return spark.createDataFrame(list(ITEMS.items()), "item_id string, item_num int")


def cache(spark: "SparkSession", *texts: str, fingerprint: str = FINGERPRINT) -> "DataFrame":
    return spark.createDataFrame([(digest(text), fingerprint, vector(text)) for text in texts], EMBEDDINGS.schema)


def test_only_texts_without_a_vector_of_this_encoder_are_new(spark: "SparkSession", texts: "DataFrame") -> None:
    known = cache(spark, "头盔").union(cache(spark, "ヘルメット", fingerprint="other"))
    new = stage.new_texts(texts, known, FINGERPRINT)
    assert new.columns == ["text_hash", "text"]
    assert sorted(row.text for row in new.collect()) == ["", "bike helmet", "casque de vélo", "ヘルメット"]


def test_vectors_are_those_of_the_encoder_in_the_schema_of_the_table(spark: "SparkSession", texts: "DataFrame") -> None:
    new = stage.new_texts(texts, cache(spark), FINGERPRINT)
    rows = stage.embed(new, CONFIG, FINGERPRINT, n_texts=5)
    assert [(f.name, f.dataType) for f in rows.schema] == [(f.name, f.dataType) for f in EMBEDDINGS.schema]
    expected = sorted((digest(text), FINGERPRINT, vector(text)) for text in set(TITLES.values()))
    assert sorted((row.text_hash, row.fingerprint, bytes(row.vector)) for row in rows.collect()) == expected


def test_tasks_hold_about_texts_per_task(texts: "DataFrame", spark: "SparkSession") -> None:
    new = stage.new_texts(texts, cache(spark), FINGERPRINT)
    config = CONFIG.model_copy(update={"texts_per_task": 2})
    assert stage.embed(new, config, FINGERPRINT, n_texts=5).rdd.getNumPartitions() == 3
    assert stage.embed(new, config, FINGERPRINT, n_texts=0).rdd.getNumPartitions() == 1


@pytest.mark.parametrize(
    ("encoder", "n_texts", "n_cores", "expected"),
    [
        ("default", 0, 2, 1),
        ("default", 9_000, 2, 1),
        ("default", 90_000, 1, 1),
        ("default", 90_000, 4, 4),
        ("default", 90_000, 64, 9),
        ("default", 450_000, 2, 5),
        ("folder", 90_000, 1, 9),
        ("folder", 90_000, 64, 9),
    ],
)
def test_a_shipped_encoder_has_large_tasks_but_one_for_every_core(
    encoder: str, n_texts: int, n_cores: int, expected: int
) -> None:
    assert stage.task_count(n_texts, EmbedConfig(encoder=encoder), n_cores) == expected


def test_anyone_can_put_the_udf_on_a_column_and_null_stays_null(spark: "SparkSession") -> None:
    frame = spark.createDataFrame([(1, "bike"), (2, None), (3, "")], "n int, name string").repartition(2)
    found = frame.select("n", stage.embedding_udf(CONFIG)(F.col("name")).alias("v")).orderBy("n").collect()
    assert [row.v if row.v is None else bytes(row.v) for row in found] == [vector("bike"), None, vector("")]


def test_another_model_on_a_worker_fails_instead_of_mixing(texts: "DataFrame") -> None:
    with pytest.raises(Exception, match="put the same model"):
        stage.embed(texts.select("text_hash", "text"), CONFIG, "another", n_texts=5).collect()


def expected_item_vectors() -> dict[int, bytes]:
    found = {}
    for item, num in ITEMS.items():
        rows = [np.frombuffer(vector(text), "<f4") for (owner, _), text in sorted(TITLES.items()) if owner == item]
        if rows:
            total = np.zeros(32)
            for row in rows:
                total += row
            found[num] = vector_bytes((total / np.sqrt(sum(x * x for x in total)))[None].astype(np.float32))[0]
    return found


@pytest.mark.parametrize("batch_rows", [1, 2, 10000])
@pytest.mark.parametrize("n_partitions", [1, 4])
def test_an_item_is_the_mean_of_its_texts_to_the_bit_however_work_is_cut(
    spark: "SparkSession", items: "DataFrame", texts: "DataFrame", batch_rows: int, n_partitions: int
) -> None:
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    known = cache(spark, *set(TITLES.values())).repartition(n_partitions)
    spark.conf.set(key, str(batch_rows))
    try:
        rows = stage.item_vectors(items, texts.repartition(n_partitions), known, FINGERPRINT).collect()
    finally:
        spark.conf.set(key, str(before))
    assert {row.item_num: bytes(row.vector) for row in rows} == expected_item_vectors()
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("n_items", "n_shared", "mute"), [(900, 30, False), (900, 31, True), (40, 20, False), (40, 21, True)]
)
def test_a_text_of_so_many_items_that_it_tells_none_apart_counts_for_nothing(
    spark: "SparkSession", n_items: int, n_shared: int, mute: bool
) -> None:
    items = spark.range(n_items).selectExpr("cast(id as string) as item_id", "cast(id as int) as item_num")
    rows = [(str(num), "en", "no title", digest("no title")) for num in range(n_shared)]
    rows += [("0", "fr", "casque de vélo", digest("casque de vélo"))]
    texts = spark.createDataFrame(rows, "item_id string, language string, text string, text_hash string")
    known = cache(spark, "no title", "casque de vélo")
    found = {row.item_num: bytes(row.vector) for row in stage.item_vectors(items, texts, known, FINGERPRINT).collect()}
    assert found.keys() == ({0} if mute else set(range(n_shared)))
    assert (found[0] == vector("casque de vélo")) == mute


def test_a_text_without_a_vector_of_this_encoder_counts_for_nothing(
    spark: "SparkSession", items: "DataFrame", texts: "DataFrame"
) -> None:
    known = cache(spark, "头盔").union(cache(spark, "bike helmet", fingerprint="other"))
    rows = stage.item_vectors(items, texts, known, FINGERPRINT).collect()
    assert [(row.item_num, bytes(row.vector)) for row in rows] == [(2, vector("头盔"))]


class Assigned:
    """A task context to which Spark assigned a GPU, or none."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def resources(self) -> dict[str, Any]:
        return {"gpu": self} if self.addresses else {}


@pytest.mark.parametrize(
    ("device", "addresses", "n_seen", "expected"),
    [
        ("auto", (), 4, "cpu"),
        ("auto", ("2",), 4, "cuda:2"),
        ("auto", ("2",), 1, "cuda:0"),
        ("auto", ("GPU-6a2f",), 1, "cuda:0"),
        ("cpu", ("2",), 4, "cpu"),
        ("cuda", (), 4, "cuda"),
        ("cuda", ("1",), 4, "cuda:1"),
    ],
)
def test_the_device_is_the_one_that_spark_assigned(
    monkeypatch: pytest.MonkeyPatch, device: Any, addresses: tuple[str, ...], n_seen: int, expected: str
) -> None:
    import torch

    monkeypatch.setattr(TaskContext, "get", staticmethod(lambda: Assigned(*addresses)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_seen)
    assert stage.task_device(EmbedConfig(device=device)) == expected


def test_an_assigned_gpu_that_torch_does_not_see_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(TaskContext, "get", staticmethod(lambda: Assigned("0")))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(EncoderError, match="assigned GPU 0, but torch sees none"):
        stage.task_device(EmbedConfig())
