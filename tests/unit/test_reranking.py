"""A ranker between the fusion and the greedy, on a planted index: order, true reasons, the same in any slice."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from planted_lists import (
    PAIRS,
    PLAIN,
    N,
    batch_of,
    configured,
    planted_vectors,
    ranked,
    true_user,
    user,
    write_index,
    write_ranker,
)

from xlrec.errors import LakeError
from xlrec.index import ItemIndex
from xlrec.kernels.ranking import NAMES, SOURCE_OF
from xlrec.recommenders import ranking
from xlrec.recommenders.baselines import systems
from xlrec.stages.rank.examples import examples_of
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.users import users_of
from xlrec.tables import SOURCES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_index(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def artefact(folder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_ranker(folder, tmp_path_factory.mktemp("ranker"))


def rows_of(
    folder: str, users: list[dict[str, Any]], artefact: str, k: int = 5, **changes: Any
) -> list[dict[str, Any]]:
    return ranked(folder, users, k, **{**PLAIN, "ranker": artefact, **changes})


def features_of(folder: str, one: dict[str, Any]) -> tuple[Any, Any]:
    """The candidates in the fusion's order, and their features."""
    ranker = Ranker(ItemIndex.open(folder), configured(5, PLAIN))
    known = users_of(batch_of([one]), ranker.weights)
    scored = ranker.scored(known)
    return known.nums[scored.order], ranker.features.of(known, scored, 100)


@pytest.mark.parametrize("seed", range(200, 208))
def test_order_scores_and_sources_are_the_rankers_and_because_the_sources_own(
    folder: str, artefact: str, seed: int
) -> None:
    one, model = true_user(seed), ranking.load(artefact)
    nums, features = features_of(folder, one)
    scores, added = model.scores(features), model.contributions(features)
    rows = rows_of(folder, [one], artefact, k=8)
    listed = [int(row["item_id"][1:]) for row in rows]
    assert listed == nums[np.argsort(-scores, kind="stable")][:8].tolist()
    best = ranked(folder, [one], 1, **PLAIN)[0]["score"]
    vectors, table = planted_vectors().astype(float), {(a, b): score for a, b, score in PAIRS}
    for row, num in zip(rows, listed, strict=True):
        at = nums.tolist().index(num)
        assert row["score"] == pytest.approx(best * np.exp(scores[at] - scores.max()))
        terms = dict.fromkeys(SOURCES, 0.0)
        for name, value in zip(NAMES, added[at], strict=True):
            if SOURCE_OF[name]:
                terms[SOURCE_OF[name]] += value
        kind = max(terms, key=lambda name: terms[name]) if max(terms.values()) > 0 else "fallback"
        assert row["source"] == row["reason"]["kind"] == kind
        pairs = list(zip(one["history_weights"], one["history"], strict=True))
        of_history = {
            "similar": {f"i{h:02d}": w * float(vectors[h] @ vectors[num]) for w, h in pairs},
            "covisited": {f"i{h:02d}": w * table.get((h, num), 0.0) for w, h in pairs},
        }.get(kind, {})
        heaviest = sorted((name for name in of_history if of_history[name] > 0), key=lambda name: -of_history[name])
        assert row["reason"]["because"] == heaviest[:2]


def test_it_does_what_no_weights_of_the_fusion_do(folder: str, artefact: str) -> None:
    """Short histories get the least popular candidate first, long ones the most similar."""
    right = 0
    for seed in range(300, 340):
        one = true_user(seed)
        top = int(rows_of(folder, [one], artefact, k=1)[0]["item_id"][1:])
        similar = one["item_nums"][int(np.argmax(one["similar"]))]
        right += top == (one["item_nums"][-1] if len(one["history"]) < 3 else similar)
    assert right >= 32


def test_a_users_list_is_the_same_alone_and_in_any_slice(folder: str, artefact: str) -> None:
    users = [true_user(seed) for seed in range(12)] + [
        user("none", []),
        user("new", [], history=[], history_weights=[]),
    ]
    changes = {"diversity": 0.2, "languages": "calibrated", "max_per_category": 2}
    alone = [row for one in users for row in rows_of(folder, [one], artefact, 7, **changes)]
    assert rows_of(folder, users, artefact, 7, **changes) == alone
    assert len(alone) == 12 * 7


def test_readers_of_one_language_caps_and_the_fill_hold_as_with_the_fusion(folder: str, artefact: str) -> None:
    one = user("u", list(range(5, 30)), fallback=[31, 35])
    listed = rows_of(folder, [one], artefact, 40, languages="only", near_duplicate=0.97)
    assert {row["item_language"] for row in listed} == {"en", "ja"}
    assert sorted(row["item_id"] for row in listed) == sorted(
        row["item_id"] for row in ranked(folder, [one], 40, **{**PLAIN, "languages": "only", "near_duplicate": 0.97})
    )
    assert listed[-1]["source"] == "fallback"
    few = rows_of(folder, [user("u", [4, 8, 12, 16, 17, 18])], artefact, 4, max_per_category=2)
    assert len({int(row["item_id"][1:]) for row in few} & {4, 8, 12, 16}) == 2


def test_what_lies_beyond_the_shortlist_follows_in_the_fusions_order_with_its_reasons(
    folder: str, artefact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xlrec.stages.rank.lists.shortlist_of", lambda _: 6)
    one = true_user(5)
    fused = ranked(folder, [one], 20, **PLAIN)
    rows = rows_of(folder, [one], artefact, 20)
    assert {row["item_id"] for row in rows[:6]} == {row["item_id"] for row in fused[:6]}
    assert [row["item_id"] for row in rows[6:]] == [row["item_id"] for row in fused[6:]]
    assert [row["reason"] for row in rows[6:]] == [row["reason"] for row in fused[6:]]
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_a_ranker_of_other_sources_is_refused(folder: str, artefact: str) -> None:
    with pytest.raises(LakeError, match="taught with sources"):
        rows_of(folder, [true_user(0)], artefact, weights={"covisited": 0})


def test_scores_that_are_no_number_never_rank(folder: str, artefact: str) -> None:
    one = user("u", [5, 6, 7], similar=[float("nan"), 0.5, None], fallback=[5])
    assert [row["item_id"] for row in rows_of(folder, [one], artefact, 3)] == ["i06"]


def test_examples_are_the_shortlists_that_are_served(folder: str) -> None:
    one = true_user(3)
    ranker = Ranker(ItemIndex.open(folder), configured(5, PLAIN))
    nums, features = features_of(folder, one)
    chosen = [int(nums[2]), N + 5]
    rows = examples_of(batch_of([one]), pa.array([chosen]), pa.array([7]), ranker).to_pylist()
    assert rows[0]["hits"] == [num == nums[2] for num in nums]
    assert (rows[0]["n_relevant"], rows[0]["user_hash"], rows[0]["user_id"]) == (2, 7, one["user_id"])
    np.testing.assert_array_equal(np.array(rows[0]["features"]).reshape(-1, len(NAMES)), features)


def test_an_evaluation_gives_the_ranker_to_xlrec_alone() -> None:
    found = systems(configured(5, {"ranker": "f"}))
    assert {name: one.config.rank.ranker for name, one in found.items()} == dict.fromkeys(found) | {"xlrec": "f"}
