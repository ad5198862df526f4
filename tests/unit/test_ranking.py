"""The learnt ranker: features against a slow oracle, a world that no fixed weights can order, a whole artefact."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.errors import InputError, LakeError, MachineError
from xlrec.kernels import ranking as kernel
from xlrec.kernels.fusion import fuse
from xlrec.kernels.ranking import NAMES, SOURCE_OF
from xlrec.recommenders import ranking
from xlrec.tables import SOURCES
from xlrec.training.ranker import DIFFERENCE, card, learn
from xlrec.training.ranker.examples import Examples, of_table
from xlrec.training.ranker.trees import out_of_fold

DEPTH = 25
TOLD = {"sources": list(SOURCES), "learnt": False, "shortlist": DEPTH, "split": "planted", "run_date": "2026-03-01"}


def oracle(scores: Any, own: Any, prior: Any, at: int, text: Any, history: Any, weights: Any) -> dict[str, float]:
    """One candidate's features, with nothing but Python's own sums and sorts."""

    def known(values: Any) -> list[float]:
        return [float(value) for value in values if math.isfinite(value)]

    def place(values: Any) -> int:
        worst_first = [(-value if math.isfinite(value) else math.inf, i) for i, value in enumerate(values)]
        return [i for _, i in sorted(worst_first)].index(at)

    found = {}
    for name, row in zip(SOURCES, scores, strict=True):
        best = max(known(row), default=0.0)
        found[name] = row[at] / best if best > 0 and math.isfinite(row[at]) else 0.0
        found[f"{name}_place"] = place(row)
    found["own"] = own[at] - max(known(own)) if math.isfinite(own[at]) else 0.0
    found["prior"] = prior[at] - max(known(prior))
    popular = scores[2][at]
    found["log_popular"] = math.log((max(popular, 0.0) if math.isfinite(popular) else 0.0) + 1e-9)
    profile = [sum(w * float(h[d]) for w, h in zip(weights, history, strict=True)) for d in range(len(text))]
    norm = math.sqrt(sum(x * x for x in profile)) or 1.0
    newest = history[0] if len(history) else [0.0] * len(text)
    found["text_profile"] = sum(float(t) * p / norm for t, p in zip(text, profile, strict=True))
    found["text_newest"] = sum(float(t) * float(h) for t, h in zip(text, newest, strict=True))
    found["n_history"] = len(history)
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 4))
def test_features_are_those_of_a_slow_oracle_whatever_is_missing(seed: int, n: int, n_history: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.choice([0.0, 0.25, 0.5, 1.0, -0.5, math.nan], size=(3, n))
    own, prior = rng.normal(size=n), rng.normal(size=n)
    own[rng.random(n) < 0.2] = math.nan
    shortlist = rng.permutation(n)[: rng.integers(0, n + 1)]
    texts = rng.normal(size=(len(shortlist), 5)).astype(np.float32)
    history, weights = rng.normal(size=(n_history, 5)).astype(np.float32), rng.random(n_history)
    told = rng.random((len(shortlist), kernel.N_TOLD))
    found = kernel.features(scores, own, prior, shortlist, texts, history, weights, told)
    assert found.shape == (len(shortlist), len(NAMES))
    for row, at in enumerate(shortlist):
        expected = oracle(scores, own, prior, at, texts[row], history, weights)
        expected |= dict(zip(("fresh", "language", "taught"), told[row], strict=True))
        assert dict(zip(NAMES, found[row], strict=True)) == pytest.approx(expected, abs=1e-9)


def test_each_source_gets_what_its_own_features_add_and_the_rest_speaks_for_none() -> None:
    contributions = np.random.default_rng(0).normal(size=(4, len(NAMES)))
    found = kernel.by_source(contributions, SOURCES)
    for row, source in enumerate(SOURCES):
        mine = [column for column, name in enumerate(NAMES) if SOURCE_OF[name] == source]
        np.testing.assert_allclose(found[row], contributions[:, mine].sum(axis=1))
    assert {name for name in NAMES if not SOURCE_OF[name]} == {"fresh", "language", "taught", "n_history"}


@settings(deadline=None)
@given(st.lists(st.floats(0, 3), max_size=9), st.integers(1, 9), st.integers(0, 999))
def test_scores_keep_the_fusions_scale_and_what_was_not_seen_comes_after(
    fused: list[float], depth: int, seed: int
) -> None:
    falling = np.sort(np.array(fused))[::-1]
    scores = np.random.default_rng(seed).normal(size=min(depth, len(fused)))
    found = kernel.relative(scores, falling, depth)
    assert len(found) == len(fused)
    if len(fused):
        head = found[: len(scores)]
        assert head.max() == (falling[0] if falling[0] > 0 else 1.0)
        assert np.array_equal(np.argsort(-head, kind="stable"), np.argsort(-scores, kind="stable"))
        assert (np.diff(found[len(scores) :]) <= 0).all()
        assert found[len(scores) :].max(initial=0.0) <= head.min()


def planted(seed: int, n_users: int = 400, interacts: bool = True) -> Examples:
    """Who has a short history chooses what is popular, who has a long one what is co-visited; `similar` says nothing.

    With `interacts` off, everyone chooses by the fused score.
    """
    rng = np.random.default_rng(seed)
    features, hits, hashes = [], [], []
    for _ in range(n_users):
        long = rng.random() < 0.5
        scores = rng.random((3, DEPTH))
        fused = fuse(scores, np.array([0, DEPTH]), np.ones(3)).scores
        liked = (scores[1] if long else scores[2]) if interacts else fused
        order = np.argsort(-fused)
        history = rng.normal(size=(9 if long else 1, 4)).astype(np.float32)
        rows = kernel.features(
            scores, scores[0], np.zeros(DEPTH), order, np.zeros((DEPTH, 4), np.float32), history,
            np.ones(len(history)), np.zeros((DEPTH, kernel.N_TOLD)),
        )  # fmt: skip
        features.append(rows)
        hits.append(order == np.argmax(liked + 0.05 * rng.normal(size=DEPTH)))
        hashes.append(rng.integers(-(2**62), 2**62))
    indptr = np.arange(n_users + 1) * DEPTH
    return Examples(np.array(hashes), np.concatenate(features), np.concatenate(hits), indptr, np.ones(n_users, int))


@pytest.fixture(scope="module")
def taught() -> ranking.RankingModel:
    return learn(planted(0), TOLD, seed=7, n_bootstrap=200)


def test_it_orders_a_world_that_no_fixed_weights_can_and_says_so_on_users_it_was_not_taught_with(
    taught: ranking.RankingModel,
) -> None:
    gain, low, _ = taught.facts["ndcg"][DIFFERENCE]
    assert gain > 0.15
    assert low > 0.1
    fresh = planted(1)
    ahead = fresh.ndcg(taught.scores(fresh.features)).mean() - fresh.ndcg().mean()
    assert ahead == pytest.approx(gain, abs=0.08)
    assert "minus fusion" in card(taught)


def test_where_the_fusion_is_right_it_claims_nothing() -> None:
    _, low, _ = learn(planted(2, interacts=False), TOLD, seed=0, n_bootstrap=200).facts["ndcg"][DIFFERENCE]
    assert low <= 0


def test_no_user_is_scored_by_trees_that_saw_what_she_chose() -> None:
    world = planted(3, n_users=80)
    lucky = world._replace(features=np.random.default_rng(5).normal(size=world.features.shape))
    gain = lucky.ndcg(out_of_fold(lucky, 0)).mean() - lucky.ndcg(np.random.default_rng(6).random(80 * DEPTH)).mean()
    assert abs(gain) < 0.12  # noise foretells nothing; trees that had seen her would


def test_learning_again_gives_the_same_trees_and_figures(taught: ranking.RankingModel) -> None:
    again = learn(planted(0), TOLD, seed=7, n_bootstrap=200)
    assert (again.text, again.facts) == (taught.text, taught.facts)


def test_a_rows_score_hangs_on_nothing_but_the_row(taught: ranking.RankingModel) -> None:
    rows = planted(1, n_users=20).features
    whole = taught.scores(rows)
    parts = [taught.scores(rows[start : start + 7]) for start in range(0, len(rows), 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    shuffled = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_array_equal(taught.contributions(rows[shuffled]), taught.contributions(rows)[shuffled])
    added = taught.contributions(rows).sum(axis=1)
    np.testing.assert_allclose(np.diff(added), np.diff(whole), atol=1e-9)  # they differ by the mean alone
    unused = [column for column, name in enumerate(NAMES) if name in ("fresh", "language", "taught")]
    assert (taught.contributions(rows)[:, unused] == 0).all()
    heavy = np.abs(taught.contributions(rows)).mean(axis=0)
    assert {NAMES[column].split("_")[0] for column in np.argsort(-heavy)[:3]} <= {"covisited", "popular", "log"}
    assert taught.scores(rows[:0]).shape == (0,)
    assert taught.contributions(rows[:0]).shape == (0, len(NAMES))


def test_the_artefact_comes_back_as_it_was_and_holds_no_pickle(taught: ranking.RankingModel, tmp_path: Path) -> None:
    taught.save(tmp_path / "a")
    back, rows = ranking.load(str(tmp_path / "a")), planted(1, n_users=5).features
    assert back.fingerprint == taught.fingerprint == back.facts["fingerprint"]
    np.testing.assert_array_equal(back.scores(rows), taught.scores(rows))
    assert {file.name for file in (tmp_path / "a").iterdir()} == {"model.txt", "ranker.json"}
    planted_again = learn(planted(4), TOLD, seed=0, n_bootstrap=10)
    planted_again.save(tmp_path / "a")
    assert ranking.load(str(tmp_path / "a")).fingerprint == planted_again.fingerprint != taught.fingerprint


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "ranker.json").unlink(), "no ranker in .*learn one with `xlrec train-ranker`"),
        (lambda folder: (folder / "model.txt").unlink(), "cannot be read"),
        (lambda folder: (folder / "model.txt").write_text((folder / "model.txt").read_text()[:-40]), "changed or cut"),
        (lambda folder: _edit(folder, layout=9), "has layout 9, this version has 1"),
        (lambda folder: _edit(folder, features=["age"]), r"has features \['age'\], this version has \['similar'"),
    ],
)
def test_a_broken_artefact_is_refused_in_one_line(
    taught: ranking.RankingModel, tmp_path: Path, harm: Any, said: str
) -> None:
    taught.save(tmp_path)
    assert ranking.load(str(tmp_path)) is ranking.load(str(tmp_path))
    harm(tmp_path)
    with pytest.raises(LakeError, match=said) as error:
        ranking.load(str(tmp_path))
    assert "\n" not in str(error.value)


def _edit(folder: Path, **changes: Any) -> None:
    facts = json.loads((folder / "ranker.json").read_text())
    (folder / "ranker.json").write_text(json.dumps(facts | changes))


def test_other_sources_or_another_kind_of_similar_are_refused(taught: ranking.RankingModel) -> None:
    taught.check(list(SOURCES), False, "f")
    with pytest.raises(LakeError, match=r"ranker f was taught with learnt = False, this config has True"):
        taught.check(list(SOURCES), True, "f")
    with pytest.raises(LakeError, match="sources"):
        taught.check(["similar"], False, "f")


def test_without_lightgbm_there_is_one_line_that_says_what_to_install(
    taught: ranking.RankingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught.save(tmp_path)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MachineError, match=r"pip install 'xlrec\[ranker\]'` on every machine, or set rank.ranker") as e:
        ranking.load(str(tmp_path))
    assert "\n" not in str(e.value)
    from xlrec.pipeline.ranking import check

    with pytest.raises(MachineError, match="LightGBM"):
        check(None)


def test_lightgbm_is_not_imported_unless_it_is_used() -> None:
    code = (
        "import sys, xlrec.cli.app, xlrec.stages.rank, xlrec.pipeline.night, xlrec.pipeline.ranking, "
        "xlrec.training.ranker; sys.exit('lightgbm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_examples_come_from_a_table_and_too_few_are_refused() -> None:
    world = planted(0, n_users=40)
    flat, size = world.features.reshape(40, -1), DEPTH
    hits = [*world.hits.reshape(40, size)]
    table = pa.table({"user_hash": world.hashes, "features": list(flat), "hits": hits, "n_relevant": [1] * 40})
    for mine, theirs in zip(of_table(table), world, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(of_table(table.slice(4)).features, world.features[4 * size :])
    with pytest.raises(InputError, match=r"20 of 20 users .* a ranker needs 30"):
        of_table(table.slice(20))
