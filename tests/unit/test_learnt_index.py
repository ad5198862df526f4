"""A learnt model in an index: what is served is what was measured in training, and reasons are true. No Spark."""

import shutil
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from worlds.index_arrays import write_arrays
from worlds.market import planted

from xlrec.config.models import Config, FactorsConfig, PopularityConfig
from xlrec.errors import LakeError
from xlrec.index import ivf
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import models_of, places_of, write_learnt
from xlrec.kernels.search.probing import Probes
from xlrec.kernels.search.topk import prepare_items
from xlrec.pipeline import approximation
from xlrec.recommenders.factors import FactorModel
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.rows import recommendations_of
from xlrec.stages.retrieve import Retriever
from xlrec.training.recommender import fit_factor_model
from xlrec.training.recommender.logs import Items, logs_before
from xlrec.training.recommender.scores import UNREADABLE, model_scores, popularity_at, served_vectors

ITEMS, LOGS, _ = planted(n_users=60, n_items=90)
N = len(ITEMS.texts)
UNKNOWN = np.full(N, np.nan)
MARKETS, LANGUAGES = ("M0", "M1", "M2", "ZZ"), ("aa", "bb", "cc")
NOW = float(LOGS.visits.micros.max()) + 1
CONFIG = Config.model_validate(
    {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": 5, "retrieve": {"candidates": 30}}
)  # fmt: skip


def everywhere() -> Items:
    """The items with a fourth market, ZZ, where only what is sold everywhere is."""
    return ITEMS._replace(eligible=np.vstack([ITEMS.eligible, ITEMS.eligible.all(axis=0)]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, FactorModel, Any]:
    """(index folder, model, (n_users, n_items) scores as training measures them)."""
    folder = tmp_path_factory.mktemp("index")
    items, ids = everywhere(), [f"i{num:03d}" for num in range(N)]
    popular = popularity_at(LOGS, 4, N, NOW, PopularityConfig(half_life_days=1e9))
    write_arrays(
        folder, item_ids=ids, vectors=ITEMS.texts, shard_rows=40,
        languages=[[LANGUAGES[at] for at in np.flatnonzero(row)] for row in ITEMS.languages],
        markets=[[MARKETS[at] for at in np.flatnonzero(column)] for column in ITEMS.eligible.T],
        popularity=[(MARKETS[m], num, float(popular[m, num])) for m in range(4) for num in range(N)],
    )  # fmt: skip
    some = logs_before(LOGS, np.arange(LOGS.n_users) % 3 > 0)  # a few items are taught by nobody
    model = fit_factor_model(
        some, items, FactorsConfig(dim=12), markets=MARKETS, item_ids=pa.array(ids), facts={}, seed=0
    )
    write_learnt(str(folder), {None: model}, UNKNOWN)
    return (
        str(folder),
        model,
        model_scores(served_vectors(model, pa.array(ids), items), items, LOGS, CONFIG.retrieve)(
            np.arange(LOGS.n_users)
        ),
    )


def users_table() -> pa.Table:
    log = LOGS.visits
    rows = []
    for user in range(LOGS.n_users):
        mine = range(log.indptr[user], log.indptr[user + 1])
        rows.append(
            {
                "user_id": f"u{user:03d}", "market": MARKETS[LOGS.markets[user]],
                "languages": [LANGUAGES[at] for at in np.flatnonzero(LOGS.reads[user])], "language_weights": [1.0],
                "log": [{"micros": int(log.micros[at]), "item_num": int(log.nums[at]), "weight": 1.0} for at in mine],
            }
        )  # fmt: skip
    rows.append({"user_id": "new", "market": "M1", "languages": ["bb"], "language_weights": [1.0], "log": None})
    kind = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))
    schema = pa.schema(
        [("user_id", pa.string()), ("market", pa.string()), ("languages", pa.list_(pa.string())),
         ("language_weights", pa.list_(pa.float64())), ("log", kind)]
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def test_what_is_served_is_what_training_measured(trained: tuple[str, FactorModel, Any]) -> None:
    folder, _, expected = trained
    rows = Retriever(ItemIndex.open_folder(folder), CONFIG).candidates_of(users_table()).to_pylist()
    for user, row in enumerate(rows[:-1]):
        np.testing.assert_allclose(row["similar"], expected[user, row["item_nums"]], atol=2e-5)
        best = np.lexsort((np.arange(N), -expected[user]))[:20]
        best = best[expected[user, best] > -UNREADABLE / 2]
        assert set(best) <= set(row["item_nums"])


def test_who_has_no_history_gets_what_is_popular(trained: tuple[str, FactorModel, Any]) -> None:
    row = Retriever(ItemIndex.open_folder(trained[0]), CONFIG).candidates_of(users_table()).to_pylist()[-1]
    assert set(row["similar"]) == {0.0}
    assert row["attention"] == []
    assert len(row["item_nums"]) == 30
    assert min(row["popular"]) > 0


def test_reasons_name_the_history_whose_terms_weigh_most(trained: tuple[str, FactorModel, Any]) -> None:
    folder, _, _ = trained
    index = ItemIndex.open_folder(folder)
    candidates = Retriever(index, CONFIG).candidates_of(users_table())
    lists = recommendations_of(candidates.to_batches()[0], Ranker(index, CONFIG), "r", date(2026, 1, 1)).to_pylist()
    models = models_of(index)
    assert models is not None
    learnt = models.each[0]
    by_user = {row["user_id"]: row for row in candidates.to_pylist()}
    for row in lists:
        user, num = by_user[row["user_id"]], int(row["item_id"][1:])
        if not user["history"]:
            assert row["source"] == "popular"
            continue
        history, at = np.array(user["history"]), user["item_nums"].index(num)
        target = learnt.gather(np.array([num]), history=False)[0].astype(float)
        terms = np.array(user["attention"]) * (learnt.gather(history, history=True).astype(float) @ target)
        np.testing.assert_allclose(terms.sum(), user["similar"][at], atol=2e-5)
        assert row["source"] == ("similar" if terms.sum() > 0.1 * user["popular"][at] else "popular")
        heaviest = [f"i{history[place]:03d}" for place in np.argsort(-terms, kind="stable") if terms[place] > 0]
        assert row["reason"]["because"] == (heaviest[:2] if row["source"] == "similar" else [])


def test_scores_fall_along_the_rank(trained: tuple[str, FactorModel, Any]) -> None:
    index = ItemIndex.open_folder(trained[0])
    varied = CONFIG.rank.model_copy(update={"diversity": 0.5})
    config = CONFIG.model_copy(update={"rank": varied})
    candidates = Retriever(index, config).candidates_of(users_table())
    lists = recommendations_of(candidates.to_batches()[0], Ranker(index, config), "r", date(2026, 1, 1)).to_pylist()
    for one, following in pairwise(lists):
        assert following["rank"] == 1 or following["score"] <= one["score"]


def test_a_model_laid_by_another_version_is_refused(trained: tuple[str, FactorModel, Any], tmp_path: Path) -> None:
    shutil.copytree(trained[0], tmp_path / "index")
    (tmp_path / "index" / "learnt.json").write_text('{"model": "m", "fingerprint": "f"}')
    with pytest.raises(LakeError, match="run `xlrec train` again"):
        models_of(ItemIndex.open_folder(str(tmp_path / "index")))


def test_a_config_without_the_model_serves_the_texts(trained: tuple[str, FactorModel, Any]) -> None:
    off = CONFIG.train.model_copy(update={"factors": FactorsConfig(enabled=False)})
    row = Retriever(ItemIndex.open_folder(trained[0]), CONFIG.model_copy(update={"train": off})).candidates_of(
        users_table()
    )
    assert max(abs(score) for score in row.to_pylist()[0]["similar"]) <= 1 + 1e-9


def test_a_model_of_other_vectors_is_refused(trained: tuple[str, FactorModel, Any], tmp_path: Path) -> None:
    write_arrays(tmp_path / "index", item_ids=["a"], vectors=np.ones((1, 5)))
    with pytest.raises(LakeError, match="takes vectors of 32 numbers"):
        write_learnt(str(tmp_path / "index"), {None: trained[1]}, np.zeros(1))


def test_a_market_with_its_own_model_is_served_by_it_and_the_others_as_before(
    trained: tuple[str, FactorModel, Any], tmp_path: Path
) -> None:
    folder, model, _ = trained
    index_folder = str(tmp_path / "index")
    shutil.copytree(folder, index_folder)
    (tmp_path / "index" / "learnt.json").unlink()
    some = logs_before(LOGS, np.arange(LOGS.n_users) % 3 == 0)
    ids = ItemIndex.open_folder(folder).item_ids
    other = fit_factor_model(some, everywhere(), FactorsConfig(dim=12), markets=MARKETS, item_ids=ids, facts={}, seed=0)
    write_learnt(index_folder, {None: model, "M1": other}, UNKNOWN)
    users = users_table()
    before = Retriever(ItemIndex.open_folder(folder), CONFIG).candidates_of(users)
    index = ItemIndex.open_folder(index_folder)
    mixed = Retriever(index, CONFIG).candidates_of(users)
    assert mixed["user_id"].to_pylist() == users["user_id"].to_pylist()
    markets = np.array(users["market"].to_pylist())
    elsewhere = np.flatnonzero(markets != "M1")
    assert mixed.take(elsewhere).equals(before.take(elsewhere))
    expected = model_scores(served_vectors(other, ids, everywhere()), everywhere(), LOGS, CONFIG.retrieve)(
        np.arange(LOGS.n_users)
    )
    for user in np.flatnonzero(markets[:-1] == "M1"):
        row = mixed.slice(int(user), 1).to_pylist()[0]
        np.testing.assert_allclose(row["similar"], expected[user, row["item_nums"]], atol=2e-5)
    models = models_of(index)
    assert models is not None
    fingerprints = [models.each[place].fingerprint for place in places_of(models, list(MARKETS))]
    assert [one == other.fingerprint for one in fingerprints] == [False, True, False, False]
    lists = recommendations_of(mixed.combine_chunks().to_batches()[0], Ranker(index, CONFIG), "r", date(2026, 1, 1))
    assert lists.num_rows == 5 * len(markets)


def test_an_approximate_search_of_all_lists_serves_the_same_rows_and_one_of_few_lists_other_ones(
    trained: tuple[str, FactorModel, Any], tmp_path: Path
) -> None:
    shutil.copytree(trained[0], tmp_path / "index")
    index = ItemIndex.open_folder(str(tmp_path / "index"))
    near = CONFIG.model_copy(update={"retrieve": CONFIG.retrieve.model_copy(update={"search": "ann", "candidates": 9})})
    config = CONFIG.model_copy(update={"retrieve": near.retrieve.model_copy(update={"search": "exact"})})
    exact = Retriever(index, config).candidates_of(users_table())
    assert Retriever(index, near).candidates_of(users_table()).equals(exact)  # nothing was laid: exact
    models = models_of(index)
    assert models is not None
    learnt, nothing = models.each[0], np.zeros((4, 2), np.int64)
    ready, scales = prepare_items(learnt.outputs, norms=learnt.norms), np.ones(learnt.dim)
    ivf.write_lists(index, learnt, ready, scales, n_lists=6, seed=0)
    for n_probe in (6, 1):
        ivf.write_probes(index, learnt, scales, Probes(np.full(4, n_probe), nothing, nothing))
        found = Retriever(index, near).candidates_of(users_table())
        assert found.equals(exact) == (n_probe == 6)
        assert found["user_id"].equals(exact["user_id"])
    for few, all_of in zip(found["item_nums"].to_pylist(), exact["item_nums"].to_pylist(), strict=True):
        assert len(few) >= min(9, len(all_of))


def test_a_night_lays_lists_for_each_model_and_counts_what_its_users_are_served(
    trained: tuple[str, FactorModel, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained[0], tmp_path / "index")
    index = ItemIndex.open_folder(str(tmp_path / "index"))
    ann = {"search": "ann", "candidates": 5, "ann": {"n_lists": 12, "n_probe": 1, "min_recall": 0.2}}
    config = Config.model_validate({**CONFIG.model_dump(), "k": 3, "retrieve": ann})
    monkeypatch.setattr(approximation, "_users", lambda _: users_table())
    run: Any = SimpleNamespace(config=config, counts={})
    with pytest.raises(LakeError, match="was made without: run `xlrec train`"):
        approximation.require_lists(str(index.folder), config)
    approximation.write_lists(run, str(index.folder))
    approximation.require_lists(str(index.folder), config)
    assert run.counts["ann.users"] == LOGS.n_users
    assert run.counts["ann.exact_markets"] < run.counts["ann.markets"] == 3
    exact = config.model_copy(update={"retrieve": config.retrieve.model_copy(update={"search": "exact"})})
    hits = np.zeros(2, np.int64)
    few, every = (Retriever(index, one).candidates_of(users_table()).to_pylist() for one in (config, exact))
    for near, best in zip(few, every, strict=True):
        for place, k in enumerate((5, 3)):
            order = np.lexsort((best["item_nums"], -np.array(best["similar"])))[:k]
            hits[place] += len(set(np.array(best["item_nums"])[order]) & set(near["item_nums"]))
    assert run.counts["ann.found"] <= hits[0] <= run.counts["ann.wanted"] == 5 * LOGS.n_users
    assert run.counts["ann.found_k"] <= hits[1] <= run.counts["ann.wanted_k"] == 3 * LOGS.n_users
    assert 0.2 * run.counts["ann.wanted"] <= run.counts["ann.found"] < run.counts["ann.wanted"]
    assert approximation.recall_line(run.counts, config).startswith("approximate search, recall@5 0.")
