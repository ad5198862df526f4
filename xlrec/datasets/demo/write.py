"""Writes the demo world: every file by a Spark task of its own, nothing of it on the driver."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from xlrec.datasets.demo.catalogue import item_counts, item_tables, translation_rows
from xlrec.datasets.demo.defects import bad_catalogue, bad_interactions
from xlrec.datasets.demo.events import user_tables, week_folder
from xlrec.datasets.demo.products import LANGUAGES, products
from xlrec.datasets.demo.schemas import CATALOG, INTERACTIONS, USERS
from xlrec.datasets.demo.world import MARKET_CODES, World
from xlrec.errors import InputError

_SUMMARY_FILE: Final = "demo.json"  # written first and last: marks the folder as a demo world and describes it
_FOLDERS: Final = ("catalog", "interactions", "users", "translations", "truth")
_NAMELESS: Final = {"user_id": None, "market": "DE", "languages": ["de"], "opted_out": False}


class DemoSummary(NamedTuple):
    """A demo world that was written."""

    world: World
    rows: dict[str, int]  # by table, planted rows included
    planted: dict[str, int]  # rows, items and users by what is wrong or special with them

    def __str__(self) -> str:
        """One line for people."""
        world, rows = self.world, ", ".join(f"{table} {n:,} rows" for table, n in self.rows.items())
        return (
            f"{world.users:,} users, {world.items:,} items, {len(MARKET_CODES)} markets, {len(LANGUAGES)} languages, "
            f"{world.days} days to {world.end_date.isoformat()}: {rows}; what was planted stands in {_SUMMARY_FILE}"
        )


def write_demo(
    spark: SparkSession,
    folder: str,
    *,
    users: int = 2000,
    items: int | None = None,
    seed: int = 7,
    days: int = 60,
    end_date: date = date(2026, 3, 1),
) -> DemoSummary:
    """Replaces the demo world in a folder: the same arguments give the same files, byte for byte.

    The folder, which every worker must see, gets catalog, interactions, users, translations, truth (what was planted)
    and demo.json. Some users have no events. Items are by default the 180 base products; more are variants of these
    with brand, colour and size. `end_date` is the day after the last of the days with events.

    Raises:
        ConfigError: A number is out of range; the caller mends it.
        InputError: The folder holds something that is no demo world; the caller names another.
    """
    world = World(users, len(products()) if items is None else items, seed, days, end_date)
    target = folder if "://" in folder else os.path.abspath(folder)
    _clear_folder(target)
    tasks = _write_tasks(world)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            counts = [_write_task(world, target, *tasks[num.as_py()]) for num in batch.column(0)]
            yield pa.RecordBatch.from_pydict({"counts": [json.dumps(row) for row in counts]})

    frame = spark.range(0, len(tasks), 1, len(tasks)).mapInArrow(run, "counts string")
    total: Counter[str] = Counter()
    for row in frame.collect():  # one row a task, whatever the world's size
        total.update(json.loads(row["counts"]))
    rows = {table: total.pop(f"rows/{table}") for table in ("catalog", "interactions", "users", "translations")}
    counts = {"rows": rows, "planted": dict(sorted(total.items()))}
    facts = asdict(world) | {"end_date": end_date.isoformat(), "languages": LANGUAGES, "markets": MARKET_CODES} | counts
    _put_summary(target, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return DemoSummary(world, **counts)


def _write_tasks(world: World) -> list[tuple[str, int, int, int]]:
    """(kind, number, first, last) of every task; how many there are depends on the world only, not on the cores."""
    tasks = [("extra", 0, 0, 0)]
    for kind, n, small, large in (("items", world.items, 90, 10_000), ("users", world.users, 500, 10_000)):
        n_shards = max(min(4, -(-n // small)), -(-n // large))
        edges = [n * shard // n_shards for shard in range(n_shards + 1)]
        tasks += [(kind, shard, edges[shard], edges[shard + 1]) for shard in range(n_shards)]
    return tasks


def _write_task(world: World, target: str, kind: str, number: int, first: int, last: int) -> Counter[str]:
    """Counts of what a task wrote; the rows of a table are counted as rows/TABLE."""
    if kind == "extra":
        name, (tables, counts) = "part-extra.parquet", _extra_tables(world)
    else:
        name = f"part-{number:05d}.parquet"
        tables, counts = (item_tables if kind == "items" else user_tables)(world, first, last)
    filesystem, root = pa_fs.FileSystem.from_uri(target)
    for folder, rows in tables.items():
        filesystem.create_dir(f"{root}/{folder}", recursive=True)
        pq.write_table(rows, f"{root}/{folder}/{name}", filesystem=filesystem, compression="zstd", use_dictionary=True)
        if not folder.startswith("truth"):
            counts[f"rows/{folder.split('/')[0]}"] += rows.num_rows
    return counts


def _extra_tables(world: World) -> tuple[dict[str, pa.Table], Counter[str]]:
    """Translations and the bad rows by folder, and counts of bad rows and of special items."""
    tables, counts = {"translations": translation_rows(world)}, item_counts(world)
    for folder, schema, planted in (
        ("catalog", CATALOG, bad_catalogue(world)),
        (week_folder(world, world.n_weeks - 1), INTERACTIONS, bad_interactions(world)),
        ("users", USERS, {"users_without_id": [_NAMELESS]}),
    ):
        tables[folder] = pa.Table.from_pylist([row for rows in planted.values() for row in rows], schema)
        counts.update({defect: len(rows) for defect, rows in planted.items()})
    return tables, counts


def _clear_folder(target: str) -> None:
    """Makes room for a new world, but only where an older one, whole or half-written, or nothing was."""
    filesystem, path = pa_fs.FileSystem.from_uri(target)
    filesystem.create_dir(path, recursive=True)
    present = {info.base_name for info in filesystem.get_file_info(pa_fs.FileSelector(path))}
    old = sorted(present & set(_FOLDERS))
    if old and _SUMMARY_FILE not in present:
        raise InputError(
            f"{target} holds {', '.join(old)} but no {_SUMMARY_FILE}, so it is not a demo world that may be replaced: "
            "name an empty folder"
        )
    _put_summary(target, '{"complete": false}\n')
    for name in old:
        filesystem.delete_dir(f"{path}/{name}")


def _put_summary(target: str, text: str) -> None:
    filesystem, path = pa_fs.FileSystem.from_uri(f"{target}/{_SUMMARY_FILE}")
    with filesystem.open_output_stream(path) as stream:
        stream.write(text.encode())
