"""Parquet files of the demo world, byte for byte the same each time, written by whichever worker has the task."""

import os
from typing import Final

import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq

_UTC: Final[pa.DataType] = pa.timestamp("us", tz="UTC")
_TEXT: Final[pa.DataType] = pa.string()
_STRINGS: Final[pa.DataType] = pa.list_(_TEXT)
_DOUBLES: Final[pa.DataType] = pa.list_(pa.float64())
CATALOG: Final = pa.schema(
    [
        ("item_id", _TEXT),
        ("title", _TEXT),
        ("description", _TEXT),
        ("language", _TEXT),
        ("categories", _STRINGS),
        ("markets", _STRINGS),
        ("available_from", _UTC),
        ("available_until", _UTC),
    ]
)
INTERACTIONS: Final = pa.schema(
    [
        ("user_id", _TEXT),
        ("item_id", _TEXT),
        ("timestamp", _UTC),
        ("event", _TEXT),
        ("value", pa.float64()),
        ("market", _TEXT),
    ]
)
USERS: Final = pa.schema(
    [
        ("user_id", _TEXT),
        ("market", _TEXT),
        ("languages", _STRINGS),
        ("opted_out", pa.bool_()),
    ]
)
TRANSLATIONS: Final = pa.schema([("item_id", _TEXT), ("language", _TEXT), ("title", _TEXT), ("description", _TEXT)])
TRUTH_USERS: Final = pa.schema(
    [
        ("user_id", _TEXT),
        ("market", _TEXT),
        ("languages", _STRINGS),
        ("categories", _STRINGS),
        ("weights", _DOUBLES),
    ]
)
TRUTH_ITEMS: Final = pa.schema(
    [
        ("item_id", _TEXT),
        ("category", _TEXT),
        ("home_market", _TEXT),
        ("quality", pa.float64()),
        ("follow_ups", _STRINGS),
    ]
)


def absolute(folder: str) -> str:
    """The folder as every worker of this machine sees it; a URI (s3://, hdfs://) stays as it is."""
    return folder if "://" in folder else os.path.abspath(folder)


def write(folder: str, name: str, table: pa.Table) -> int:
    """Replaces folder/name by the table, whole or not at all on a local disk; its rows. An empty one is not written."""
    if not table.num_rows:
        return 0
    filesystem, path = pa_fs.FileSystem.from_uri(f"{folder}/{name}")
    filesystem.create_dir(os.path.dirname(path), recursive=True)
    # A leading dot hides the half-written file from readers; the process makes a retried task's name its own.
    unfinished = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.getpid()}"
    pq.write_table(table, unfinished, filesystem=filesystem, compression="zstd", use_dictionary=True)
    filesystem.move(unfinished, path)
    return int(table.num_rows)


def part(number: int) -> str:
    """Name of a numbered file."""
    return f"part-{number:05d}.parquet"
