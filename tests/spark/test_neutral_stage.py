"""Neutral in Spark: fitted the same however work is cut, kept in a table, taken out of item vectors."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from xlrec.config.models import NeutralConfig
from xlrec.kernels.base.vectors import vector_bytes
from xlrec.kernels.text.neutral import LanguageOffsets, fit_language_offsets, fixed_sums
from xlrec.stages import neutral as stage
from xlrec.stages.embed import item_vectors
from xlrec.tables import EMBEDDINGS, LANGUAGE_PARTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CONFIG = NeutralConfig(directions=1, min_texts=3, prior_texts=1.0)
N_ITEMS, DIM = 12, 8
LANGUAGES = ("de", "en", "ja")


def planted() -> dict[tuple[str, str], NDArray[np.float32]]:
    """Vectors by (item, language): every language is pushed its own way."""
    rng = np.random.default_rng(5)
    items, ways = rng.normal(size=(N_ITEMS, DIM)), 2 * rng.normal(size=(len(LANGUAGES), DIM))
    found = {}
    for i, item in enumerate(items):
        for language, way in zip(LANGUAGES, ways, strict=True):
            vector = item + way
            found[f"i{i:02d}", language] = (vector / np.linalg.norm(vector)).astype(np.float32)
    found["i00", "und"], found["i01", "fr"] = np.eye(DIM, dtype=np.float32)[:2]
    return found


VECTORS = planted()


def digest(item: str, language: str) -> str:
    return hashlib.sha256(f"{item} {language}".encode()).hexdigest()


@pytest.fixture
def texts(spark: "SparkSession") -> "DataFrame":
    rows = [(item, language, digest(item, language)) for item, language in VECTORS]
    return spark.createDataFrame(rows, "item_id string, language string, text_hash string")


@pytest.fixture
def embeddings(spark: "SparkSession") -> "DataFrame":
    rows = [(digest(*key), "mine", vector_bytes(vector[None])[0]) for key, vector in VECTORS.items()]
    rows += [(digest(*key), "other", vector_bytes(-vector[None])[0]) for key, vector in VECTORS.items()]
    return spark.createDataFrame(rows, EMBEDDINGS.schema)


@pytest.fixture
def items(spark: "SparkSession") -> "DataFrame":
    return spark.createDataFrame([(f"i{i:02d}", i) for i in range(N_ITEMS)], "item_id string, item_num int")


def expected() -> LanguageOffsets:
    """The fit by the kernel alone; the text of an unknown language counts for nothing."""
    tags = sorted({language for _, language in VECTORS} - {"und"})
    told = {key: vector for key, vector in VECTORS.items() if key[1] != "und"}
    rows = np.array([tags.index(language) for _, language in told])
    counts, sums = fixed_sums(np.stack(list(told.values())), rows, len(tags))
    return LanguageOffsets(
        tuple(tags), *fit_language_offsets(counts, sums, min_texts=3, prior_texts=1.0, n_directions=1)
    )


@pytest.mark.parametrize("n_partitions", [1, 5])
@pytest.mark.parametrize("batch_rows", [1, 10000])
def test_the_fit_is_that_of_the_kernel_to_the_bit_however_work_is_cut(
    spark: "SparkSession", texts: "DataFrame", embeddings: "DataFrame", n_partitions: int, batch_rows: int
) -> None:
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    spark.conf.set(key, str(batch_rows))
    try:
        sums = stage.language_sums(texts.repartition(n_partitions), embeddings, "mine").collect()
    finally:
        spark.conf.set(key, str(before))
    rows = stage.fit_rows(sums, CONFIG, "mine")
    assert {row["neutral"] for row in rows} == {expected().fingerprint}


def test_what_is_written_to_the_table_is_read_back_whole(
    spark: "SparkSession", texts: "DataFrame", embeddings: "DataFrame"
) -> None:
    rows = stage.fit_rows(stage.language_sums(texts, embeddings, "mine").collect(), CONFIG, "mine")
    names = LANGUAGE_PARTS.schema.names
    frame = spark.createDataFrame([tuple(row[name] for name in names) for row in rows], LANGUAGE_PARTS.schema)
    found = stage.neutral_of(frame.repartition(3).collect())
    assert found is not None
    assert found.languages == ("de", "en", "fr", "ja")
    assert found.fingerprint == expected().fingerprint
    assert [(row["language"], row["n_texts"]) for row in rows] == [
        ("de", 12), ("en", 12), ("fr", 1), ("ja", 12), (None, None), (None, None),
    ]  # fmt: skip


def test_no_texts_give_no_fit(texts: "DataFrame", embeddings: "DataFrame") -> None:
    sums = stage.language_sums(texts, embeddings, "nobody's").collect()
    assert sums == []
    assert stage.fit_rows(sums, CONFIG, "nobody's") == []
    assert stage.neutral_of([]) is None


@pytest.mark.parametrize("n_partitions", [1, 4])
def test_item_vectors_are_means_of_neutral_vectors_to_the_bit(
    items: "DataFrame", texts: "DataFrame", embeddings: "DataFrame", n_partitions: int
) -> None:
    neutral = expected()
    rows = item_vectors(items, texts.repartition(n_partitions), embeddings, "mine", neutral).collect()
    found = {row.item_num: bytes(row.vector) for row in rows}
    assert len(found) == N_ITEMS
    for num in range(N_ITEMS):
        keys = sorted(key for key in VECTORS if key[0] == f"i{num:02d}")
        parts = neutral.taken_out(np.stack([VECTORS[key] for key in keys]), [language for _, language in keys])
        total = np.zeros(DIM)
        for part in parts:
            total += part
        norm = np.sqrt(sum(x * x for x in total))
        assert found[num] == vector_bytes((total / norm)[None].astype(np.float32))[0]


def test_a_planted_push_leaves_the_items(items: "DataFrame", texts: "DataFrame", embeddings: "DataFrame") -> None:
    def spread(neutral: LanguageOffsets | None) -> float:
        """Cosine of the same item's vectors made from the German and from the Japanese text alone."""
        ends = []
        for language in ("de", "ja"):
            alone = texts.where(f"language = '{language}'")
            rows = item_vectors(items, alone, embeddings, "mine", neutral).orderBy("item_num").collect()
            ends.append(np.stack([np.frombuffer(row.vector, "<f4") for row in rows]))
        return float(np.einsum("ij,ij->i", *ends).mean())

    assert spread(expected()) > spread(None) + 0.3
