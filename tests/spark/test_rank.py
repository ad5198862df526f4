"""Lists from candidates on a planted index: the right rows, true reasons, and the same ones however Spark cuts them."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds.candidates import DAY, PAIRS, configured, planted_vectors, ranked, true_user, user, write_index

from xlrec.config.models import FusionWeights
from xlrec.errors import LakeError
from xlrec.index.items import FUSION
from xlrec.stages.rank import rank_candidates
from xlrec.tables import CANDIDATES, RECOMMENDATIONS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PLAIN: dict[str, Any] = {"diversity": 0, "languages": "any"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_index(tmp_path_factory.mktemp("index"))


def items(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["item_id"][1:]) for row in rows]


@pytest.mark.parametrize("seed", range(12))
def test_scores_sources_and_reasons_are_the_terms_recomputed_from_scratch(folder: str, seed: int) -> None:
    one = true_user(seed)
    weights = {"similar": 1.0, "covisited": 0.8, "popular": 0.3}
    vectors, table = planted_vectors().astype(float), {(a, b): score for a, b, score in PAIRS}
    norm = np.linalg.norm(sum(w * vectors[h] for w, h in zip(one["history_weights"], one["history"], strict=True)))
    rows, lowest = ranked(folder, [one], k=8, weights=weights), math.inf
    assert [row["rank"] for row in rows] == list(range(1, 9))
    for row, num in zip(rows, items(rows), strict=True):
        at = one["item_nums"].index(num)
        terms = {name: weights[name] * one[name][at] for name in weights}
        lowest = min(lowest, sum(terms.values()))
        assert row["score"] == pytest.approx(lowest)
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


def test_each_market_has_the_weights_that_were_found_for_it_unless_the_config_states_some(tmp_path: Path) -> None:
    folder = write_index(tmp_path)
    told = {"joint": [1.0, 2.0, 0.0], "markets": {"DE": [0.0, 8.0, 0.0]}, "figures": []}
    (tmp_path / FUSION).write_text(json.dumps(told))
    one = user("u", [5, 6], similar=[0.5, 0.25], covisited=[0.125, 0.375], market="DE")
    users = [one, one | {"user_id": "v", "market": "ZZ"}]
    found = ranked(folder, users, k=2, **PLAIN)
    assert items(found) == [6, 5, 6, 5]
    assert [row["score"] for row in found] == [3.0, 1.0, 1.0, 0.75]
    stated = ranked(folder, users, k=2, **PLAIN, weights={"similar": 1, "covisited": 0, "popular": 0})
    assert [row["score"] for row in stated] == [0.5, 0.25, 0.5, 0.25]


def test_copies_of_a_better_item_are_left_out_and_come_last_before_a_list_is_short(folder: str) -> None:
    one = user("u", [1, 5, 31, 32], similar=[0.8, 0.5, 0.9, 0.7], fallback=[6])
    assert items(ranked(folder, [one], k=2, **PLAIN)) == [31, 5]
    assert items(ranked(folder, [one], k=9, **PLAIN)) == [31, 5, 6, 1, 32]


def test_lists_are_filled_by_popularity_with_an_empty_reason(folder: str) -> None:
    one = user("u", [5, 6], popular=[0.25, 0.5], fallback=[5, 9, 8])
    rows = ranked(folder, [one], k=4, **PLAIN)
    assert items(rows)[2:] == [9, 8]
    weight = FusionWeights().popular
    assert [row["score"] for row in rows[2:]] == pytest.approx([weight / 10, weight / 10])
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
    with pytest.raises(LakeError, match=r"row 0 of a batch.*run retrieve again") as refused:
        ranked(folder, [one], k=2)
    assert "'u'" not in str(refused.value), "errors end in logs, which hold no user ids"


def test_a_users_list_does_not_depend_on_the_users_beside_it(folder: str) -> None:
    users = [true_user(seed) for seed in range(6)]
    alone = [row for one in users for row in ranked(folder, [one], k=7, max_per_category=2)]
    assert ranked(folder, users, k=7, max_per_category=2) == alone


def test_spark_gives_the_same_rows_with_1_and_6_partitions_as_arrays_do(spark: "SparkSession", folder: str) -> None:
    users = [true_user(seed) for seed in range(20)] + [user("empty", [])]
    frame = spark.createDataFrame(
        [tuple(row[name] for name in CANDIDATES.schema.names) for row in users], CANDIDATES.schema
    )

    def rows(parts: int) -> list[dict[str, Any]]:
        found = rank_candidates(frame.repartition(parts), configured(6, {}), index=folder, run_id="r", run_date=DAY)
        assert found.schema.simpleString() == RECOMMENDATIONS.schema.simpleString()
        return [row.asDict(recursive=True) for row in found.orderBy("user_id", "rank").collect()]

    expected = ranked(folder, users, k=6)
    assert len(expected) == 20 * 6
    assert rows(1) == rows(6) == sorted(expected, key=lambda row: (row["user_id"], row["rank"]))
