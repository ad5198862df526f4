"""Sizes of inputs from their Parquet files: counted where they are few, estimated where they are many, and said so."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlrec.config.models import Config
from xlrec.errors import InputError
from xlrec.planning import past, sizes
from xlrec.planning.plan import heap_of, machine_of


def put(path: Path, columns: dict[str, Any], rows_per_group: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)


def world(folder: Path, n_users: int = 30, **more: Any) -> Config:
    """Three items with two texts each; user u has 1 + u % 7 events, of which every other is of the first item."""
    names = [f"i{num}" for num in range(3)]
    texts: dict[str, Any] = {
        "item_id": names * 2, "title": ["abc"] * 6, "description": ["def", None] * 3,
        "language": ["en"] * 3 + ["de", "fr", None], "markets": [["DE"], None, ["FR", "DE"]] * 2,
    }  # fmt: skip
    put(folder / "catalog" / "a.parquet", texts)
    users = [f"u{user}" for user in range(n_users) for _ in range(1 + user % 7)]
    items = [names[(place % 2) * (place % 3)] for user in range(n_users) for place in range(1 + user % 7)]
    half = len(users) // 2
    for day, rows in (("d=1", slice(None, half)), ("d=2", slice(half, None))):
        put(folder / "log" / day / "a.parquet", {"user_id": users[rows], "item_id": items[rows]}, 16)
    put(folder / "users.parquet", {"user_id": [f"u{user}" for user in range(n_users + 5)]})
    (folder / "log" / "_SUCCESS").write_text("")
    put(folder / "log" / "_old" / "a.parquet", {"user_id": ["x"], "item_id": ["x"]})
    where = {"catalog": folder / "catalog", "interactions": folder / "log", "users": folder / "users.parquet"}
    tree = {"lake": str(folder / "lake"), "inputs": {name: str(path) for name, path in where.items()}, **more}
    return Config.model_validate(tree)


def test_few_rows_are_counted_exactly(tmp_path: Path) -> None:
    found, texts = sizes.read(world(tmp_path))
    lengths = [1 + user % 7 for user in range(30)]
    assert (found.users, found.active, found.items, found.texts, found.new_texts) == (35, 30, 3, 6, 6)
    assert found.events == sum(lengths)
    assert found.pairs == sum(n * (n - 1) // 2 for n in lengths)
    assert sorted(found.histories) == sorted(lengths)
    assert (found.markets, found.languages, found.unstated, found.notes) == (2, 3, 1, ())
    assert found.chars == pytest.approx(4.5)
    assert len(texts.titles) == 6


def test_visits_are_distinct_items_of_a_user(tmp_path: Path) -> None:
    config = world(tmp_path)
    found, _ = sizes.read(config)
    log = sizes.parquet_files(config.inputs.interactions, "interactions")
    rows = {pair for file in log for pair in zip(*pq.ParquetFile(file).read().to_pydict().values(), strict=True)}
    assert found.visits == len(rows)


def test_many_rows_are_estimated_from_row_groups_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "EXACT_ROWS", 2000)
    rng = np.random.default_rng(0)
    users = rng.integers(0, 1000, 8000)
    config = world(tmp_path)
    nums = [f"i{num}" for num in rng.integers(0, 3, 8000)]
    log = {"user_id": [f"u{user:04d}" for user in users], "item_id": nums}
    put(tmp_path / "many" / "a.parquet", log, 200)
    many = config.model_copy(
        update={"inputs": config.inputs.model_copy(update={"interactions": str(tmp_path / "many"), "users": None})}
    )
    found, _ = sizes.read(many)
    assert found.events == 8000
    assert 800 <= found.active <= 1200
    assert "2,000 of 8,000 interactions" in found.notes[0]
    assert 6 < np.mean(found.histories) < 10


def test_pairs_are_those_that_a_loop_counts() -> None:
    for n in range(9):
        assert sizes.pairs_of(np.array([n]))[0] == sum(1 for a in range(n) for _ in range(a + 1, n))


def test_kinds_that_a_sample_missed_are_told_by_those_seen_once_and_twice() -> None:
    assert sizes.unseen(np.array([1, 1, 1, 1, 2, 2, 5])) == 2
    assert sizes.unseen(np.array([3, 4])) == 0


def test_other_column_names_and_globs_are_read(tmp_path: Path) -> None:
    config = world(tmp_path)
    put(tmp_path / "other" / "x1.parquet", {"who": ["a", "b", "a"], "what": ["i0", "i0", "i1"]})
    tree = {**config.model_dump(), "columns": {"interactions": {"user_id": "who", "item_id": "what"}}}
    tree["inputs"] = {**tree["inputs"], "interactions": str(tmp_path / "other" / "x*.parquet"), "users": None}
    found, _ = sizes.read(Config.model_validate(tree))
    assert (found.users, found.events, found.visits) == (2, 3, 3)


@pytest.mark.parametrize(
    ("place", "said"), [("s3a://bucket/log", "files of this machine"), ("nowhere", "no Parquet file")]
)
def test_an_input_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, place: str, said: str) -> None:
    config = world(tmp_path)
    inputs = config.inputs.model_copy(update={"interactions": place})
    with pytest.raises(InputError, match=said):
        sizes.read(config.model_copy(update={"inputs": inputs}))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    config = world(tmp_path)
    put(tmp_path / "bare" / "a.parquet", {"customer": ["a"], "item_id": ["i0"]})
    inputs = config.inputs.model_copy(update={"interactions": str(tmp_path / "bare")})
    with pytest.raises(InputError, match=r"no column user_id, it has customer, item_id: map it"):
        sizes.read(config.model_copy(update={"inputs": inputs}))


def test_more_users_bring_as_many_events_each_and_no_more_items(tmp_path: Path) -> None:
    found, _ = sizes.read(world(tmp_path))
    more = found.scaled(350, None)
    assert (more.users, more.active, more.items, more.texts) == (350, 300, 3, 6)
    assert more.pairs == 10 * found.pairs
    assert "350 users" in more.notes[-1]
    assert found.scaled(None, 30).texts == 60


def test_texts_that_the_cache_holds_are_not_embedded_again(tmp_path: Path) -> None:
    from xlrec import encoders

    config = world(tmp_path)
    folder = tmp_path / "lake" / "embeddings" / f"fingerprint={encoders.fingerprint(config.embed)}"
    put(folder / "part.parquet", {"text_hash": ["a", "b", "c", "d"]})
    put(folder.parent / "fingerprint=other" / "part.parquet", {"text_hash": ["a", "b"]})
    found, _ = sizes.read(config)
    assert (found.texts, found.new_texts) == (6, 2)


def test_the_newest_published_night_is_read_whatever_version_of_the_table_holds_it(tmp_path: Path) -> None:
    def run(run_id: str, status: str, day: int) -> dict[str, Any]:
        return {
            "run_id": run_id, "status": status, "started_at": datetime(2026, 1, day, tzinfo=UTC),
            "config": '{"k": 7}', "counts": [("recommend.users", day), ("index.items", 4)],
            "seconds": [("prepare", 1.5)],
        }  # fmt: skip

    config = world(tmp_path)
    assert past.newest_night(config) is None
    pairs = {name: pa.map_(pa.string(), kind) for name, kind in (("counts", pa.int64()), ("seconds", pa.float64()))}
    strings = {name: pa.string() for name in ("run_id", "status", "config")}
    kinds = pa.schema({**strings, "started_at": pa.timestamp("us", "UTC"), **pairs})
    files = {"a": [run("1", "published", 1)], "b": [run("1", "published", 1), run("2", "published", 2)]}
    files["c"] = [run("3", "failed", 3), run("4", "running", 4)]
    for name, rows in files.items():
        (tmp_path / "lake" / "_runs").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, kinds), tmp_path / "lake" / "_runs" / f"{name}.parquet")
    night = past.newest_night(config)
    assert night is not None
    assert (night.run_id, night.users, night.items, night.k, night.learnt) == ("2", 2, 4, 7, False)
    assert night.seconds == {"prepare": 1.5}


@pytest.mark.parametrize(
    ("spark", "cores", "each"),
    [
        ({"master": "local[3]"}, 3, 3),
        ({"master": "local[3,4]"}, 3, 3),
        ({"master": "local"}, 1, 1),
        ({"master": "local-cluster[2,3,1200]"}, 6, 6),
        ({"master": "yarn", "conf": {"spark.executor.instances": "5", "spark.executor.cores": "4"}}, 20, 4),
    ],
)
def test_cores_are_those_that_spark_is_given(tmp_path: Path, spark: dict[str, Any], cores: int, each: int) -> None:
    machine, _ = machine_of(world(tmp_path, spark=spark))
    assert (machine.cores, machine.per_machine) == (cores, each)


def test_a_cluster_without_executors_in_the_config_is_said_to_be_guessed(tmp_path: Path) -> None:
    config = world(tmp_path, spark={"master": "yarn"})
    assert "--cores" in machine_of(config)[1]
    assert machine_of(config, 64)[0].cores == 64


@pytest.mark.parametrize(("memory", "found"), [("4g", 4 << 30), ("512m", 512 << 20), ("2GB", 2 << 30)])
def test_the_heap_is_what_the_config_says(tmp_path: Path, memory: str, found: int) -> None:
    assert heap_of(world(tmp_path, spark={"driver_memory": memory})) == found
