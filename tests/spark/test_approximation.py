"""The approximate first pass of a night: measured on its own users, served by the stage, never by default."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds.index_arrays import write_arrays

from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.index.items import ItemIndex
from xlrec.pipeline import approximation
from xlrec.stages.retrieve import retrieve_candidates
from xlrec.tables import EVENTS, USERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

N_ITEMS, N_KINDS, N_USERS, DIM, CANDIDATES = 4000, 40, 90, 12, 25


def config(search: str, **ann: Any) -> Config:
    """Nearness of texts alone, so that the index needs no model."""
    return Config.model_validate(
        {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": 5,
         "train": {"factors": {"enabled": False}},
         "retrieve": {"search": search, "candidates": CANDIDATES, "ann": {"min_recall": 0.9, "n_probe": 1, **ann}}}
    )  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("index")
    kinds = rng.normal(size=(N_KINDS, DIM))
    vectors = kinds[np.arange(N_ITEMS) % N_KINDS] + 0.3 * rng.normal(size=(N_ITEMS, DIM))
    write_arrays(
        folder, item_ids=[f"i{num:04d}" for num in range(N_ITEMS)], shard_rows=900,
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        markets=[None if num % 3 else ["DE"] for num in range(N_ITEMS)], popularity=[("DE", 1, 1.0), ("JP", 2, 1.0)],
    )  # fmt: skip
    return str(folder)


@pytest.fixture(scope="module")
def tables(spark: "SparkSession") -> "dict[str, DataFrame]":
    """Users of DE, three times as many as of JP, with six events near one kind; the last four have none."""
    rng, start = np.random.default_rng(1), datetime(2026, 1, 1, tzinfo=UTC)
    users = [(f"u{user:03d}", "DE" if user % 4 else "JP", ["en"], [1.0], True) for user in range(N_USERS)]
    events = [
        (f"u{user:03d}", f"i{num:04d}", int(num), start + timedelta(days=place), "view", None, "DE", 1.0)
        for user in range(N_USERS - 4)
        for place, num in enumerate(user % N_KINDS + N_KINDS * rng.integers(0, N_ITEMS // N_KINDS, 6))
    ]
    return {
        USERS.name: spark.createDataFrame(users, USERS.schema).persist(),
        EVENTS.name: spark.createDataFrame(events, EVENTS.schema).persist(),
    }


def run_of(tables: "dict[str, DataFrame]", told: Config) -> Any:
    """As much of a run as is asked for."""
    return SimpleNamespace(config=told, counts={}, lake=SimpleNamespace(read_table=lambda table: tables[table.name]))


def similar_of(tables: "dict[str, DataFrame]", index: str, told: Config) -> dict[str, dict[int, float]]:
    rows = retrieve_candidates(tables[USERS.name], tables[EVENTS.name], told, index=index).collect()
    return {row.user_id: dict(zip(row.item_nums, row.similar, strict=True)) for row in rows}


def test_the_recall_that_was_measured_on_all_users_is_the_recall_that_they_get(
    tables: "dict[str, DataFrame]", index: str
) -> None:
    run = run_of(tables, config("ann"))
    approximation.write_lists(run, index)
    counts = run.counts
    assert counts["ann.users"] == N_USERS - 4  # who asks for something
    assert counts["ann.markets"] == 2
    assert counts["ann.wanted"] == (N_USERS - 4) * CANDIDATES
    assert counts["ann.wanted_k"] == (N_USERS - 4) * 5
    assert counts["ann.exact_markets"] == 0
    assert counts["ann.wanted"] > counts["ann.found"] >= 0.9 * counts["ann.wanted"]
    exact, near = (similar_of(tables, index, config(search)) for search in ("exact", "ann"))
    best = {user: sorted(found, key=lambda num: -found[num])[:CANDIDATES] for user, found in exact.items()}
    had = {user: sorted(found, key=lambda num: -found[num])[:CANDIDATES] for user, found in near.items()}
    asked = [user for user in best if int(user[1:]) < N_USERS - 4]
    assert all(len(had[user]) == CANDIDATES for user in asked)
    hits = sum(len(set(best[user]) & set(had[user])) for user in asked)
    assert counts["ann.found"] == pytest.approx(hits, abs=len(asked))  # popular items may stand in both
    eligible = {user: ItemIndex.open_folder(index).eligible("JP" if int(user[1:]) % 4 == 0 else "DE") for user in asked}
    assert all(eligible[user][num] for user in asked for num in had[user])
    told = approximation.recall_line(counts, run.config)
    assert told.startswith("approximate search, recall@25 0.9")
    assert "on 86 users" in told


def test_the_sample_takes_every_market_alike_and_is_the_same_in_other_partitions(
    tables: "dict[str, DataFrame]",
) -> None:
    users = tables[USERS.name]
    drawn = approximation.sample_users(users, 0, 20).collect()
    assert sorted(row.market for row in drawn) == ["DE"] * 10 + ["JP"] * 10
    assert {row.user_id for row in drawn} == {
        row.user_id for row in approximation.sample_users(users.repartition(7), 0, 20).collect()
    }
    assert {row.user_id for row in drawn} != {row.user_id for row in approximation.sample_users(users, 1, 20).collect()}


def test_an_index_made_without_is_refused_and_exact_search_leaves_no_file(
    tables: "dict[str, DataFrame]", index: str
) -> None:
    approximation.write_lists(run_of(tables, config("ann")), index)
    approximation.require_lists(index, config("ann"))
    run = run_of(tables, config("exact"))
    approximation.write_lists(run, index)
    assert run.counts == {}
    assert not list(Path(index).glob("ivf-*"))
    approximation.require_lists(index, config("exact"))
    with pytest.raises(LakeError, match="was made without: run `xlrec train` with this config"):
        approximation.require_lists(index, config("ann"))
