"""A learnt model in an index: what is served is what was measured in training, and reasons are true. No Spark."""

import shutil
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from planted_market import planted

from xlrec import index_ivf
from xlrec.config import Config, HybridConfig, PopularityConfig
from xlrec.errors import LakeError
from xlrec.index import ItemIndex
from xlrec.index_learnt import finish, models_of, write_shard
from xlrec.index_writer import write_arrays
from xlrec.kernels.csr import first_of
from xlrec.kernels.probing import Probes
from xlrec.kernels.ranking import NAMES
from xlrec.kernels.topk import prepare
from xlrec.pipeline import approximation
from xlrec.recommenders.hybrid import HybridModel, save_all, serving
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.rows import recommendations_of
from xlrec.stages.rank.users import users_of
from xlrec.stages.retrieve import Retriever
from xlrec.training.recommender.examples import popularity_at
from xlrec.training.recommender.logs import Items
from xlrec.training.recommender.loop import Task, train_epochs
from xlrec.training.recommender.scoring import scores_of, served

ITEMS, LOGS, _ = planted(n_users=60, n_items=90)
N = len(ITEMS.texts)
MARKETS, LANGUAGES = ("M0", "M1", "M2", "ZZ"), ("aa", "bb", "cc")
NOW = float(LOGS.visits.micros.max()) + 1
FLAT = PopularityConfig(half_life_days=1e9)
CONFIG = Config.model_validate(
    {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": 5, "retrieve": {"candidates": 30},
     "train": {"hybrid": {"max_history": 4}}}
)  # fmt: skip


def everywhere() -> Items:
    """The items with a fourth market, ZZ, where only what is sold everywhere is."""
    return ITEMS._replace(eligible=np.vstack([ITEMS.eligible, ITEMS.eligible.all(axis=0)]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, HybridModel, Any]:
    """(index folder, model, (n_users, n_items) scores as training measures them)."""
    folder, model_folder = tmp_path_factory.mktemp("index"), str(tmp_path_factory.mktemp("model"))
    items = everywhere()
    ids = [f"i{num:03d}" for num in range(N)]
    popular = popularity_at(LOGS, 4, N, NOW, FLAT)
    write_arrays(
        folder, item_ids=ids, vectors=ITEMS.texts, shard_rows=40,
        languages=[[LANGUAGES[at] for at in np.flatnonzero(row)] for row in ITEMS.languages],
        markets=[[MARKETS[at] for at in np.flatnonzero(column)] for column in ITEMS.eligible.T],
        popularity=[(MARKETS[m], num, float(popular[m, num])) for m in range(4) for num in range(N)],
    )  # fmt: skip
    config = HybridConfig(dim=12, batch=64, spans=3, max_history=4)
    model = train_epochs(Task(LOGS, items, config, FLAT, 0), 2, lambda _: None).model(pa.array(ids), {})
    model.save(Path(model_folder))
    for shard in range(3):
        write_shard(str(folder), model_folder, shard, np.full(min(40, N - 40 * shard), np.nan), NOW)
    finish(str(folder), model_folder)
    what = served(model, model.taught(pa.array(ids)), items, LOGS, NOW, FLAT)
    return str(folder), model, scores_of(model, what, items, LOGS, np.arange(LOGS.n_users))


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


def test_what_is_served_is_what_training_measured(trained: tuple[str, HybridModel, Any]) -> None:
    folder, _, expected = trained
    rows = Retriever(ItemIndex.open(folder), CONFIG).rows(users_table()).to_pylist()
    for user, row in enumerate(rows[:-1]):
        np.testing.assert_allclose(row["similar"], expected[user, row["item_nums"]], atol=2e-5)
        best = np.lexsort((np.arange(N), -expected[user]))[:20]
        best = best[np.isfinite(expected[user, best])]
        assert set(best) <= set(row["item_nums"])


def test_a_user_without_history_is_served_by_market_and_languages(trained: tuple[str, HybridModel, Any]) -> None:
    row = Retriever(ItemIndex.open(trained[0]), CONFIG).rows(users_table()).to_pylist()[-1]
    assert row["similar"] == row["prior"]
    assert len(set(row["similar"])) > 1
    assert row["attention"] == []


def test_reasons_name_the_history_whose_terms_weigh_most_or_popularity(trained: tuple[str, HybridModel, Any]) -> None:
    folder, model, _ = trained
    index = ItemIndex.open(folder)
    only_similar = CONFIG.rank.weights.model_copy(update={"similar": 1.0, "covisited": 0.0, "popular": 0.0})
    config = CONFIG.model_copy(update={"rank": CONFIG.rank.model_copy(update={"weights": only_similar})})
    candidates = Retriever(index, config).rows(users_table())
    lists = recommendations_of(candidates.to_batches()[0], Ranker(index, config), "r", date(2026, 1, 1)).to_pylist()
    models = models_of(index)
    assert models is not None
    learnt = models.each[0]
    by_user = {row["user_id"]: row for row in candidates.to_pylist()}
    kinds = set()
    for row in lists:
        user = by_user[row["user_id"]]
        num = int(row["item_id"][1:])
        own = np.array(user["similar"]) - np.array(user["prior"])
        prior = np.array(user["prior"])
        at = user["item_nums"].index(num)
        personal = own[at] - own.mean() > prior[at] - prior.mean()
        kinds.add(row["source"])
        assert row["source"] == row["reason"]["kind"] == ("similar" if personal else "popular")
        if not personal:
            assert row["reason"]["because"] == []
            continue
        history = np.array(user["history"])
        target = learnt.gather(np.array([num]), history=False)[0].astype(float)
        terms = np.array(user["attention"]) * (learnt.gather(history, history=True).astype(float) @ target)
        scale = model.scales(np.array([len(history)]))[0]
        np.testing.assert_allclose(terms.sum() * scale, own[at], atol=2e-5)
        heaviest = [f"i{history[place]:03d}" for place in np.argsort(-terms, kind="stable") if terms[place] > 0]
        assert row["reason"]["because"] == heaviest[:2]
    assert kinds == {"similar", "popular"}


def test_the_index_knows_what_was_taught(trained: tuple[str, HybridModel, Any]) -> None:
    models = models_of(ItemIndex.open(trained[0]))
    assert models is not None
    learnt = models.each[0]
    np.testing.assert_array_equal(np.flatnonzero(learnt.taught), np.unique(LOGS.event_nums))


def test_a_rankers_features_hold_the_parts_of_a_logit_and_the_age_of_an_item(
    trained: tuple[str, HybridModel, Any], tmp_path: Path
) -> None:
    folder = shutil.copytree(trained[0], tmp_path / "index")
    trained[1].save(tmp_path / "model")
    for shard in range(3):
        ages = np.where(np.arange(40 * shard, min(40 * shard + 40, N)) % 2, NOW - 14 * 86_400e6, np.nan)
        write_shard(str(folder), str(tmp_path / "model"), shard, ages, NOW)
    finish(str(folder), str(tmp_path / "model"))
    ranker = Ranker(ItemIndex.open(str(folder)), CONFIG)
    (batch,) = Retriever(ranker.index, CONFIG).rows(users_table()).combine_chunks().to_batches()
    users = users_of(batch, ranker.weights)
    scored = ranker.scored(users)
    features = np.split(ranker.features.of(users, scored, 9), first_of(scored.indptr, 9)[0][1:-1])
    for user, mine in enumerate(features):
        candidates, start = slice(users.indptr[user], users.indptr[user + 1]), scored.indptr[user]
        found = dict(zip(NAMES, mine.T, strict=True))
        order = scored.order[start : start + len(mine)] - candidates.start
        nums, prior = users.nums[candidates][order], users.prior[candidates]
        np.testing.assert_allclose(found["fresh"], np.where(nums % 2, 0.5, 0.0))
        own = users.scores[0, candidates] - prior
        np.testing.assert_allclose(found["own"], (own - own.max())[order])
        np.testing.assert_allclose(found["prior"], (prior - prior.max())[order])
        np.testing.assert_array_equal(found["taught"], np.isin(nums, LOGS.event_nums))
        assert set(found["language"]) <= {0.0, 1.0}


def test_a_model_laid_by_another_version_is_refused(trained: tuple[str, HybridModel, Any], tmp_path: Path) -> None:
    shutil.copytree(trained[0], tmp_path / "index")
    (tmp_path / "index" / "learnt.json").write_text('{"model": "m", "fingerprint": "f"}')
    with pytest.raises(LakeError, match="run `xlrec train` again"):
        models_of(ItemIndex.open(str(tmp_path / "index")))


def test_a_config_without_the_model_serves_the_texts(trained: tuple[str, HybridModel, Any]) -> None:
    off = CONFIG.train.model_copy(update={"hybrid": HybridConfig(enabled=False)})
    row = Retriever(ItemIndex.open(trained[0]), CONFIG.model_copy(update={"train": off})).rows(users_table())
    assert max(abs(score) for score in row.to_pylist()[0]["similar"]) <= 1 + 1e-9


def test_a_model_of_other_vectors_is_refused(trained: tuple[str, HybridModel, Any], tmp_path: Path) -> None:
    write_arrays(tmp_path / "index", item_ids=["a"], vectors=np.ones((1, 5)))
    trained[1].save(tmp_path / "model")
    with pytest.raises(LakeError, match="takes vectors of 32 numbers"):
        write_shard(str(tmp_path / "index"), str(tmp_path / "model"), 0, np.zeros(1), NOW)


def test_a_market_with_its_own_model_is_served_by_it_and_the_others_as_before(
    trained: tuple[str, HybridModel, Any], tmp_path: Path
) -> None:
    folder, model, _ = trained
    index_folder, model_folder = str(tmp_path / "index"), str(tmp_path / "model")
    shutil.copytree(folder, index_folder)
    (tmp_path / "index" / "learnt.json").unlink()
    other = HybridModel({**model.arrays, "adapter_out": -model.arrays["adapter_out"]}, model.item_ids, model.facts)
    save_all(model, {"M1": other}, Path(model_folder))
    for place, one in enumerate((model_folder, serving(model_folder)["M1"])):
        for shard in range(3):
            ages = np.full(min(40, N - 40 * shard), np.nan)
            write_shard(index_folder, one, shard, ages, NOW, place)
    finish(index_folder, model_folder)
    users = users_table()
    before = Retriever(ItemIndex.open(folder), CONFIG).rows(users)
    index = ItemIndex.open(index_folder)
    mixed = Retriever(index, CONFIG).rows(users)
    assert mixed["user_id"].to_pylist() == users["user_id"].to_pylist()
    markets = np.array(users["market"].to_pylist())
    elsewhere = np.flatnonzero(markets != "M1")
    assert mixed.take(elsewhere).equals(before.take(elsewhere))
    what = served(other, other.taught(index.item_ids), everywhere(), LOGS, NOW, FLAT)
    expected = scores_of(other, what, everywhere(), LOGS, np.arange(LOGS.n_users))
    for user in np.flatnonzero(markets[:-1] == "M1"):
        row = mixed.slice(int(user), 1).to_pylist()[0]
        np.testing.assert_allclose(row["similar"], expected[user, row["item_nums"]], atol=2e-5)
    models = models_of(index)
    assert models is not None
    assert [models.of(name).model.fingerprint == other.fingerprint for name in MARKETS] == [False, True, False, False]
    lists = recommendations_of(mixed.combine_chunks().to_batches()[0], Ranker(index, CONFIG), "r", date(2026, 1, 1))
    assert lists.num_rows == 5 * len(markets)


def test_an_approximate_search_of_all_lists_serves_the_same_rows_and_one_of_few_lists_other_ones(
    trained: tuple[str, HybridModel, Any], tmp_path: Path
) -> None:
    shutil.copytree(trained[0], tmp_path / "index")
    index = ItemIndex.open(str(tmp_path / "index"))
    near = CONFIG.model_copy(update={"retrieve": CONFIG.retrieve.model_copy(update={"search": "ann", "candidates": 9})})
    config = CONFIG.model_copy(update={"retrieve": near.retrieve.model_copy(update={"search": "exact"})})
    exact = Retriever(index, config).rows(users_table())
    assert Retriever(index, near).rows(users_table()).equals(exact)  # nothing was laid: exact
    models = models_of(index)
    assert models is not None
    learnt, nothing = models.each[0], np.zeros((4, 2), np.int64)
    ready, scales = prepare(learnt.outputs, norms=learnt.norms), np.ones(learnt.dim)
    index_ivf.lay(index, learnt, ready, scales, n_lists=6, seed=0)
    for n_probe in (6, 1):
        index_ivf.tell(index, learnt, scales, Probes(np.full(4, n_probe), nothing, nothing))
        found = Retriever(index, near).rows(users_table())
        assert found.equals(exact) == (n_probe == 6)
        assert found["user_id"].equals(exact["user_id"])
    for few, all_of in zip(found["item_nums"].to_pylist(), exact["item_nums"].to_pylist(), strict=True):
        assert len(few) >= min(9, len(all_of))


def test_a_night_lays_lists_for_each_model_and_counts_what_its_users_are_served(
    trained: tuple[str, HybridModel, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained[0], tmp_path / "index")
    index = ItemIndex.open(str(tmp_path / "index"))
    ann = {"search": "ann", "candidates": 5, "ann": {"n_lists": 12, "n_probe": 1, "min_recall": 0.2}}
    config = Config.model_validate({**CONFIG.model_dump(), "k": 3, "retrieve": ann})
    monkeypatch.setattr(approximation, "_users", lambda _: users_table())
    run: Any = SimpleNamespace(config=config, counts={})
    with pytest.raises(LakeError, match="was made without: run `xlrec train`"):
        approximation.check(str(index.folder), config)
    approximation.lay(run, str(index.folder))
    approximation.check(str(index.folder), config)
    assert run.counts["ann.users"] == LOGS.n_users + 1
    assert run.counts["ann.exact_markets"] < run.counts["ann.markets"] == 3
    exact = config.model_copy(update={"retrieve": config.retrieve.model_copy(update={"search": "exact"})})
    hits = np.zeros(2, np.int64)
    few, every = (Retriever(index, one).rows(users_table()).to_pylist() for one in (config, exact))
    for near, best in zip(few, every, strict=True):
        for place, k in enumerate((5, 3)):
            order = np.lexsort((best["item_nums"], -np.array(best["similar"])))[:k]
            hits[place] += len(set(np.array(best["item_nums"])[order]) & set(near["item_nums"]))
    assert run.counts["ann.found"] <= hits[0] <= run.counts["ann.wanted"] == 5 * (LOGS.n_users + 1)
    assert run.counts["ann.found_k"] <= hits[1] <= run.counts["ann.wanted_k"] == 3 * (LOGS.n_users + 1)
    assert 0.2 * run.counts["ann.wanted"] <= run.counts["ann.found"] < run.counts["ann.wanted"]
    assert approximation.told(run.counts, config).startswith("approximate search, recall@5 0.")
