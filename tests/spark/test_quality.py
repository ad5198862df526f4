"""The sample of texts to check: spread over the languages, chosen by content, the same however work is cut."""

import hashlib
from typing import TYPE_CHECKING

import pytest

from xlrec.stages.prepare import text_sample, texts_by_language

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SIZES = {"en": 600, "de": 80, "ja": 5}


@pytest.fixture
def texts(spark: "SparkSession") -> "DataFrame":
    rows = [
        (language, i % 2 == 0, f"{language} {i}", hashlib.sha256(f"{language} {i}".encode()).hexdigest())
        for language, n in SIZES.items()
        for i in range(n)
    ]
    return spark.createDataFrame(rows, "language string, language_detected boolean, text string, text_hash string")


def test_texts_are_counted_by_language(texts: "DataFrame") -> None:
    mute = texts.where("text in ('en 1', 'en 2', 'ja 0')").select("text_hash")
    rows = texts_by_language(texts, mute).collect()
    found = {row["language"]: (row["n"], row["n_stated"], row["n_mute"]) for row in rows}
    assert found == {"en": (600, 300, 2), "de": (80, 40, 0), "ja": (5, 2, 1)}


def test_the_sample_is_spread_evenly_and_takes_all_of_a_language_with_few(texts: "DataFrame") -> None:
    rows = text_sample(texts, SIZES, 120).collect()
    counts = {name: sum(row["language"] == name for row in rows) for name in SIZES}
    assert counts["ja"] == 5
    assert counts["en"] == pytest.approx(40, abs=20)
    assert counts["de"] == pytest.approx(40, abs=20)
    assert len(text_sample(texts, SIZES, 10**6).collect()) == sum(SIZES.values())


def test_the_sample_is_the_same_in_other_partitions(texts: "DataFrame") -> None:
    one, other = (
        sorted(row["text"] for row in text_sample(frame, SIZES, 120).collect())
        for frame in (texts, texts.repartition(7))
    )
    assert one == other
