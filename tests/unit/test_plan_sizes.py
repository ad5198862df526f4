"""Sizes of inputs from their Parquet files, and those of the newest run from the lake."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds.input_files import planned_config, write_parquet

from xlrec.config.models import Config
from xlrec.errors import InputError
from xlrec.planning.run_history import newest_run
from xlrec.planning.sizes import read_sizes


def test_rows_are_counted_by_footers_and_ids_by_their_columns(tmp_path: Path) -> None:
    sizes = read_sizes(planned_config(tmp_path))
    assert (sizes.users, sizes.active, sizes.items, sizes.texts, sizes.new_texts) == (35, 30, 3, 6, 6)
    assert sizes.events == sum(1 + user % 7 for user in range(30))
    assert sizes.markets == 2


def test_other_column_names_and_globs_are_read(tmp_path: Path) -> None:
    config = planned_config(tmp_path)
    write_parquet(tmp_path / "other" / "x1.parquet", {"who": ["a", "b", "a"], "what": ["i0", "i0", "i1"]})
    tree = {**config.model_dump(), "columns": {"interactions": {"user_id": "who", "item_id": "what"}}}
    tree["inputs"] = {**tree["inputs"], "interactions": str(tmp_path / "other" / "x*.parquet"), "users": None}
    sizes = read_sizes(Config.model_validate(tree))
    assert (sizes.users, sizes.events) == (2, 3)


@pytest.mark.parametrize(
    ("place", "message"), [("s3a://bucket/log", "files of this machine"), ("nowhere", "no Parquet file")]
)
def test_an_input_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, place: str, message: str) -> None:
    config = planned_config(tmp_path)
    inputs = config.inputs.model_copy(update={"interactions": place})
    with pytest.raises(InputError, match=message):
        read_sizes(config.model_copy(update={"inputs": inputs}))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    config = planned_config(tmp_path)
    write_parquet(tmp_path / "bare" / "a.parquet", {"customer": ["a"], "item_id": ["i0"]})
    inputs = config.inputs.model_copy(update={"interactions": str(tmp_path / "bare")})
    with pytest.raises(InputError, match=r"no column user_id, it has customer, item_id: map it"):
        read_sizes(config.model_copy(update={"inputs": inputs}))


def test_more_users_bring_as_many_events_each_and_no_more_items(tmp_path: Path) -> None:
    sizes = read_sizes(planned_config(tmp_path))
    more = sizes.scale(350, None)
    assert (more.users, more.active, more.items, more.texts) == (350, 300, 3, 6)
    assert more.events == 10 * sizes.events
    assert sizes.scale(None, 30).texts == 60


def test_texts_that_the_lake_holds_are_not_embedded_again(tmp_path: Path) -> None:
    from xlrec import encoders

    config = planned_config(tmp_path)
    folder = tmp_path / "lake" / "embeddings" / f"fingerprint={encoders.fingerprint(config.embed)}"
    write_parquet(folder / "part.parquet", {"text_hash": ["a", "b", "c", "d"]})
    write_parquet(folder.parent / "fingerprint=other" / "part.parquet", {"text_hash": ["a", "b"]})
    sizes = read_sizes(config)
    assert (sizes.texts, sizes.new_texts) == (6, 2)


def test_the_newest_published_run_is_read_whatever_version_of_the_table_holds_it(tmp_path: Path) -> None:
    def run(run_id: str, status: str, day: int) -> dict[str, Any]:
        return {
            "run_id": run_id, "status": status, "started_at": datetime(2026, 1, day, tzinfo=UTC),
            "config": '{"k": 7}', "counts": [("recommend.users", day), ("index.items", 4), ("audit.rows", 9)],
            "seconds": [("prepare", 1.5)],
        }  # fmt: skip

    config = planned_config(tmp_path)
    assert newest_run(config) is None
    pairs = {name: pa.map_(pa.string(), kind) for name, kind in (("counts", pa.int64()), ("seconds", pa.float64()))}
    strings = {name: pa.string() for name in ("run_id", "status", "config")}
    kinds = pa.schema({**strings, "started_at": pa.timestamp("us", "UTC"), **pairs})
    files = {"a": [run("1", "published", 1)], "b": [run("1", "published", 1), run("2", "published", 2)]}
    files["c"] = [run("3", "failed", 3), run("4", "running", 4)]
    for name, rows in files.items():
        (tmp_path / "lake" / "_runs").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, kinds), tmp_path / "lake" / "_runs" / f"{name}.parquet")
    assert newest_run(config) == ("2", 7, {"prepare": 1.5}, {"users": 2, "items": 4})
