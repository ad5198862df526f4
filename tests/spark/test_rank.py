"""Lists from candidates on a planted index: the right rows, true reasons, and the same ones however Spark cuts them."""

import datetime
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from xlrec.config import Config, FusionWeights
from xlrec.errors import LakeError
from xlrec.index import ItemIndex
from xlrec.index_writer import write_arrays
from xlrec.stages.rank import rank
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.rows import recommendations_of
from xlrec.tables import CANDIDATES, RECOMMENDATIONS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

N, DIM = 40, 6
DAY = datetime.date(2026, 3, 1)
LANGUAGES = [[["de"], ["en"], ["ja"], ["en", "ja"], []][num % 5] for num in range(N)]
CATEGORIES = [[f"c{num % 4}"] for num in range(N)]
POPULAR = [("DE", num, 1 / (1 + num)) for num in range(N)]
PAIRS = [(a, b, 1 / (1 + (a * 7 + b * 3) % 11)) for a in range(N) for b in range(N) if a != b and (a + b) % 3 == 0]
PLAIN: dict[str, Any] = {"diversity": 0, "languages": "any"}


def planted_vectors() -> Any:
    """Item 31 is item 1 under another id, item 32 nearly; item 39 has no text."""
    found = np.random.default_rng(3).normal(size=(N, DIM))
    found[31] = found[1]
    found[32] = found[1] + 0.01
    found[39] = 0
    return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("index")
    write_arrays(
        path,
        item_ids=[f"i{num:02d}" for num in range(N)],
        vectors=planted_vectors(),
        languages=LANGUAGES,
        categories=CATEGORIES,
        neighbours=PAIRS,
        popularity=POPULAR,
        shard_rows=7,
    )
    return str(path)


def user(name: str, nums: list[int], **changes: Any) -> dict[str, Any]:
    """A row of candidates: scores fall along nums unless told."""
    falling = [1 - 0.5 * place / len(nums) for place in range(len(nums))]
    row = {
        "user_id": name, "market": "DE", "languages": ["en", "ja"], "language_weights": [0.6, 0.4],
        "history": [2, 3], "history_weights": [0.7, 0.3], "item_nums": nums,
        "similar": falling, "covisited": [0.0] * len(nums), "popular": [0.0] * len(nums), "fallback": [],
    }  # fmt: skip
    row |= changes
    return {"attention": row["history_weights"], "prior": [0.0] * len(row["item_nums"])} | row


def true_user(seed: int) -> dict[str, Any]:
    """A user whose scores are what retrieve promises, from loops."""
    rng = np.random.default_rng(seed)
    history = rng.permutation(N - 1)[: rng.integers(1, 6)].tolist()
    weights = rng.dirichlet(np.ones(len(history))).tolist()
    nums = sorted(set(rng.permutation(N)[:25].tolist()) - set(history))
    vectors, table = planted_vectors().astype(float), {(a, b): score for a, b, score in PAIRS}
    profile = sum(w * vectors[h] for w, h in zip(weights, history, strict=True))
    return user(
        f"u{seed:02d}", nums, history=history, history_weights=weights,
        similar=[float(profile @ vectors[i] / np.linalg.norm(profile)) for i in nums],
        covisited=[sum(w * table.get((h, i), 0.0) for w, h in zip(weights, history, strict=True)) for i in nums],
        popular=[1 / (1 + i) for i in nums],
        fallback=[i for i in range(N) if i not in nums and i not in history],
    )  # fmt: skip


def configured(k: int, changes: dict[str, Any]) -> Config:
    return Config.model_validate(
        {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": k, "rank": changes}
    )


def ranked(folder: str, users: list[dict[str, Any]], k: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """The rows without Spark, as dictionaries."""
    batch = pa.RecordBatch.from_pylist(users, schema=to_arrow_schema(CANDIDATES.schema))
    found = recommendations_of(batch, Ranker(ItemIndex.open(folder), configured(k, changes)), "r", DAY)
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def items(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["item_id"][1:]) for row in rows]


@pytest.mark.parametrize("seed", range(12))
def test_scores_sources_and_reasons_are_the_terms_recomputed_from_scratch(folder: str, seed: int) -> None:
    one = true_user(seed)
    weights = {"similar": 1.0, "covisited": 0.8, "popular": 0.3}
    vectors, table = planted_vectors().astype(float), {(a, b): score for a, b, score in PAIRS}
    norm = np.linalg.norm(sum(w * vectors[h] for w, h in zip(one["history_weights"], one["history"], strict=True)))
    best = {name: max([*one[name], 0.0]) for name in weights}
    rows = ranked(folder, [one], k=8, weights=weights)
    assert [row["rank"] for row in rows] == list(range(1, 9))
    for row, num in zip(rows, items(rows), strict=True):
        at = one["item_nums"].index(num)
        terms = {name: weights[name] * one[name][at] / best[name] if best[name] else 0.0 for name in weights}
        assert row["score"] == pytest.approx(sum(terms.values()))
        assert row["source"] == row["reason"]["kind"] == max(terms, key=lambda name: terms[name])
        pairs = list(zip(one["history_weights"], one["history"], strict=True))
        of_history = {
            "similar": {f"i{h:02d}": w * float(vectors[h] @ vectors[num]) / norm for w, h in pairs},
            "covisited": {f"i{h:02d}": w * table.get((h, num), 0.0) for w, h in pairs},
            "popular": {},
        }
        for name in ("similar", "covisited"):
            assert sum(of_history[name].values()) == pytest.approx(one[name][at])
        weighed = of_history[row["source"]]
        heaviest = sorted((name for name in weighed if weighed[name] > 0), key=lambda name: -weighed[name])
        assert row["reason"]["because"] == heaviest[:2]


def test_copies_of_a_better_item_are_left_out_and_come_last_before_a_list_is_short(folder: str) -> None:
    one = user("u", [1, 5, 31, 32], similar=[0.8, 0.5, 0.9, 0.7], fallback=[6])
    assert items(ranked(folder, [one], k=2, **PLAIN)) == [31, 5]
    assert items(ranked(folder, [one], k=9, **PLAIN)) == [31, 5, 6, 1, 32]


def test_lists_are_filled_by_popularity_on_the_candidates_scale_with_an_empty_reason(folder: str) -> None:
    one = user("u", [5, 6], popular=[0.25, 0.5], fallback=[5, 9, 8])
    rows = ranked(folder, [one], k=4, **PLAIN)
    assert items(rows)[2:] == [9, 8]
    weight = FusionWeights().popular
    assert [row["score"] for row in rows[2:]] == pytest.approx([weight * (1 / 10) / 0.5, weight * (1 / 9) / 0.5])
    assert rows[2]["reason"] == {"kind": "fallback", "because": []}
    assert rows[2]["source"] == "fallback"
    assert [row["score"] for row in ranked(folder, [one | {"market": "ZZ"}], k=4, **PLAIN)[2:]] == [0.0, 0.0]


def test_a_user_without_candidates_gets_the_fallback_and_without_both_no_row(folder: str) -> None:
    new = user("new", [], history=[], history_weights=[], fallback=[4, 7], languages=[], language_weights=[])
    rows = ranked(folder, [new, user("none", [])], k=5)
    assert [(row["user_id"], row["item_id"], row["source"]) for row in rows] == [
        ("new", "i04", "fallback"),
        ("new", "i07", "fallback"),
    ]
    assert all(math.isfinite(row["score"]) for row in rows)


def test_the_language_shown_suits_the_user_best_and_items_without_text_say_so(folder: str) -> None:
    rows = ranked(folder, [user("u", [5, 6, 8, 9], languages=["ja", "en"])], k=4, **PLAIN)
    assert [row["item_language"] for row in rows] == ["de", "en", "ja", "und"]
    rows = ranked(folder, [user("u", [8], languages=[], language_weights=[])], k=1)
    assert [row["item_language"] for row in rows] == ["en"]


def test_calibrated_lists_follow_the_readers_languages_and_only_keeps_to_them(folder: str) -> None:
    one = user("u", list(range(5, 30)), fallback=[31, 35])

    def mix(mode: str, k: int = 5) -> list[str]:
        return [row["item_language"] for row in ranked(folder, [one], k, languages=mode, diversity=0, calibration=0.9)]

    assert sorted(mix("calibrated")) == ["en", "en", "en", "ja", "ja"]
    assert sorted(mix("any")) == ["de", "en", "en", "ja", "und"]
    assert set(mix("only", k=40)) == {"en", "ja"}
    assert len(mix("only", k=40)) == 15 + 1


def test_caps_per_category_hold_until_the_list_would_be_short(folder: str) -> None:
    one = user("u", [4, 8, 12, 16, 17, 18])
    assert items(ranked(folder, [one], k=4, max_per_category=2, **PLAIN)) == [4, 8, 17, 18]
    assert items(ranked(folder, [one], k=5, max_per_category=2, **PLAIN)) == [4, 8, 17, 18, 12]


def test_scores_that_are_no_number_never_rank(folder: str) -> None:
    one = user("u", [5, 6, 7], similar=[math.nan, 0.5, None], fallback=[5])
    assert items(ranked(folder, [one], k=3, **PLAIN)) == [6]


def test_a_source_without_weight_may_be_missing_and_one_with_weight_may_not(folder: str) -> None:
    one = user("u", [5, 6], covisited=None)
    assert items(ranked(folder, [one], k=2, weights={"covisited": 0.0}, **PLAIN)) == [5, 6]
    with pytest.raises(LakeError, match=r"user 'u' .*run retrieve again"):
        ranked(folder, [one], k=2)


def test_a_users_list_does_not_depend_on_the_users_beside_it(folder: str) -> None:
    users = [true_user(seed) for seed in range(6)]
    alone = [row for one in users for row in ranked(folder, [one], k=7, max_per_category=2)]
    assert ranked(folder, users, k=7, max_per_category=2) == alone


def test_spark_gives_the_same_rows_with_1_and_6_partitions_as_arrays_do(spark: "SparkSession", folder: str) -> None:
    users = [true_user(seed) for seed in range(20)] + [user("empty", [])]
    frame = spark.createDataFrame(
        [tuple(row[name] for name in CANDIDATES.schema.names) for row in users], CANDIDATES.schema
    )
    config = configured(6, {})

    def rows(parts: int) -> list[dict[str, Any]]:
        found = rank(frame.repartition(parts), config, index=folder, run_id="r", run_date=DAY)
        assert found.schema.simpleString() == RECOMMENDATIONS.schema.simpleString()
        return [row.asDict(recursive=True) for row in found.orderBy("user_id", "rank").collect()]

    expected = ranked(folder, users, k=6)
    assert len(expected) == 20 * 6
    assert rows(1) == rows(6) == sorted(expected, key=lambda row: (row["user_id"], row["rank"]))
