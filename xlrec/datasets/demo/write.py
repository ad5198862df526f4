"""Writes the demo world: every file by a Spark task of its own, nothing of it on the driver."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.fs as pa_fs
from pyspark.sql import SparkSession

from xlrec.datasets.demo.catalogue import catalogue_rows, translations, truth_items
from xlrec.datasets.demo.defects import bad_catalogue, bad_interactions, bad_users
from xlrec.datasets.demo.events import block, week_folder
from xlrec.datasets.demo.files import absolute, part, write
from xlrec.datasets.demo.products import LANGUAGES, products
from xlrec.datasets.demo.world import MARKET_CODES, World
from xlrec.errors import InputError

#: Written first and last: marks the folder as a demo world and tells what is in it.
SUMMARY_FILE: Final = "demo.json"
_FOLDERS: Final = ("catalog", "interactions", "users", "translations", "truth")
_ROWS: Final = ("catalog", "interactions", "users", "translations")


@dataclass(frozen=True)
class DemoSummary:
    """What was written."""

    users: int
    items: int
    seed: int
    days: int
    end_date: str
    """The day after the last events, ISO: the default run_date of a run on this world."""
    languages: tuple[str, ...]
    markets: tuple[str, ...]
    rows: dict[str, int]
    """By table, planted rows included."""
    planted: dict[str, int]
    """Rows, items and users by what is wrong or special with them."""

    def __str__(self) -> str:
        """One line for people."""
        rows = ", ".join(f"{table} {n:,} rows" for table, n in self.rows.items())
        return (
            f"{self.users:,} users, {self.items:,} items, {len(self.markets)} markets, "
            f"{len(self.languages)} languages, {self.days} days to {self.end_date}: {rows}; "
            f"what was planted stands in {SUMMARY_FILE}"
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

    Args:
        spark: Session whose workers write the files.
        folder: Gets catalog, interactions, users, translations, truth (what was planted) and demo.json. Every worker
            must see it.
        users: Users, with events or without.
        items: Items; null: the 180 base products. More are variants of these with brand, colour and size.
        seed: Another seed makes another world.
        days: Days with events.
        end_date: The day after the last of them.

    Raises:
        ConfigError: A number is out of range; the caller mends it.
        InputError: The folder holds something that is no demo world; the caller names another.
    """
    world = World(users, len(products()) if items is None else items, seed, days, end_date)
    target = absolute(folder)
    _clear(target)
    tasks = _tasks(world)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            counts = [_write_task(world, target, *tasks[num.as_py()]) for num in batch.column(0)]
            yield pa.RecordBatch.from_pydict({"counts": [json.dumps(row) for row in counts]})

    frame = spark.range(0, len(tasks), 1, len(tasks)).mapInArrow(run, "counts string")
    total: Counter[str] = Counter()
    for row in frame.collect():  # one row a task, whatever the world's size
        total.update(json.loads(row["counts"]))
    summary = _summary(world, total)
    _put(target, json.dumps(asdict(summary), indent=1, ensure_ascii=False) + "\n")
    return summary


def _tasks(world: World) -> list[tuple[str, int, int, int]]:
    """(kind, number, first, last) of every task; how many there are hangs on the world only, not on the cores."""
    tasks = [("rest", 0, 0, 0)]
    for kind, n, small, large in (("items", world.items, 90, 10_000), ("users", world.users, 500, 10_000)):
        n_shards = max(min(4, -(-n // small)), -(-n // large))
        edges = [n * shard // n_shards for shard in range(n_shards + 1)]
        tasks += [(kind, shard, edges[shard], edges[shard + 1]) for shard in range(n_shards)]
    return tasks


def _write_task(world: World, target: str, kind: str, number: int, first: int, last: int) -> dict[str, int]:
    if kind == "items":
        return _write_items(world, target, number, first, last)
    if kind == "users":
        return _write_users(world, target, number, first, last)
    return _write_rest(world, target)


def _write_items(world: World, target: str, number: int, first: int, last: int) -> dict[str, int]:
    rows, counts = catalogue_rows(world, first, last)
    counts["rows/catalog"] += write(f"{target}/catalog", part(number), rows)
    write(f"{target}/truth/items", part(number), truth_items(world, first, last))
    return dict(counts)


def _write_users(world: World, target: str, number: int, first: int, last: int) -> dict[str, int]:
    made = block(world, first, last)
    for week, rows in made.weeks.items():
        made.counts["rows/interactions"] += write(
            f"{target}/interactions/{week_folder(world, week)}", part(number), rows
        )
    made.counts["rows/users"] += write(f"{target}/users", part(number), made.users)
    write(f"{target}/truth/users", part(number), made.truth)
    return dict(made.counts)


def _write_rest(world: World, target: str) -> dict[str, int]:
    """Translations and the bad rows, in files of their own."""
    total: Counter[str] = Counter()
    last_week = f"interactions/{week_folder(world, world.n_weeks - 1)}"
    for table, folder, (rows, counts) in (
        ("catalog", "catalog", bad_catalogue(world)),
        ("interactions", last_week, bad_interactions(world)),
        ("users", "users", bad_users()),
        ("translations", "translations", (translations(world), Counter[str]())),
    ):
        total.update(counts)
        total[f"rows/{table}"] += write(f"{target}/{folder}", "part-extra.parquet", rows)
    return dict(total)


def _summary(world: World, total: Counter[str]) -> DemoSummary:
    return DemoSummary(
        users=world.users,
        items=world.items,
        seed=world.seed,
        days=world.days,
        end_date=world.end_date.isoformat(),
        languages=LANGUAGES,
        markets=MARKET_CODES,
        rows={table: total[f"rows/{table}"] for table in _ROWS},
        planted={name: total[name] for name in sorted(total) if not name.startswith("rows/")},
    )


def _clear(target: str) -> None:
    """Makes room for a new world, but only where an older one, whole or half-written, or nothing was."""
    filesystem, path = pa_fs.FileSystem.from_uri(target)
    filesystem.create_dir(path, recursive=True)
    found = {os.path.basename(info.path) for info in filesystem.get_file_info(pa_fs.FileSelector(path))}
    if SUMMARY_FILE not in found and found & set(_FOLDERS):
        raise InputError(
            f"{target} holds {', '.join(sorted(found & set(_FOLDERS)))} but no {SUMMARY_FILE}, so it is not a demo "
            f"world that may be replaced: name an empty folder"
        )
    _put(target, '{"complete": false}\n')
    for name in sorted(found & set(_FOLDERS)):
        filesystem.delete_dir(f"{path}/{name}")


def _put(target: str, text: str) -> None:
    filesystem, path = pa_fs.FileSystem.from_uri(f"{target}/{SUMMARY_FILE}")
    with filesystem.open_output_stream(path) as stream:
        stream.write(text.encode())
