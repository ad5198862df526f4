"""The Parquet files of an input: a pinned list, from any file system that Spark knows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pyspark.sql import SparkSession

from xlrec.errors import InputError

_SUFFIXES: Final = (".parquet", ".parq", ".pq")


@dataclass(frozen=True)
class InputFile:
    """One Parquet file of an input."""

    path: str
    size: int
    name: str
    """Path below the input's root, with its Hive partitions."""


def list_files(spark: SparkSession, path: str, name: str, named_by: str | None = None) -> list[InputFile]:
    """The Parquet files at a path (file, folder or glob), sorted by path; hidden and `_` files are not data.

    `named_by` names the option for the path in messages; None: `inputs.NAME in the config`.

    Raises:
        InputError: nothing is there, no Parquet file is, or the folder is a Delta table.
    """
    context = spark.sparkContext
    jvm: Any = context._jvm
    pattern = jvm.org.apache.hadoop.fs.Path(path)
    system = pattern.getFileSystem(context._jsc.hadoopConfiguration())
    root = _root(system.makeQualified(pattern).toString())
    files: list[InputFile] = []
    others: list[str] = []
    for match in system.globStatus(pattern) or []:
        for status in _files_below(system, match):
            full = str(status.getPath().toString())
            below = full.removeprefix(root).strip("/") if full != root else full.rsplit("/", 1)[-1]
            parts = below.split("/")
            if "_delta_log" in parts:
                raise InputError(
                    f"{name} at {path} is a Delta table, whose folder holds old rows too: write it out as Parquet"
                )
            if any(part.startswith(("_", ".")) and "=" not in part for part in parts) or not status.getLen():
                continue
            if "." in parts[-1] and not parts[-1].endswith(_SUFFIXES):
                others.append(parts[-1])
            else:
                files.append(InputFile(full, int(status.getLen()), below))
    if not files:
        seen = f"; seen are {', '.join(sorted(others)[:3])}" if others else ""
        mend = f"inputs.{name} in the config"
        raise InputError(f"there is no Parquet file for {name} at {path}{seen}: correct {named_by or mend}")
    return sorted(files, key=lambda file: file.path)


def _files_below(system: Any, status: Any) -> Iterator[Any]:
    """Status of every file at or below a path: object stores list flat, a local disk folder by folder.

    Hadoop's flat listing of a local disk starts a process per file, to find an owner that is not needed.
    """
    if system.getUri().getScheme() == "file":
        for child in system.listStatus(status.getPath()) if status.isDirectory() else [status]:
            yield from _files_below(system, child) if child.isDirectory() else (child,)
        return
    files = system.listFiles(status.getPath(), True)
    while files.hasNext():
        yield files.next()


def _root(path: str) -> str:
    """Part of the path before the first glob, where Hive partitions begin."""
    parts = path.split("/")
    fixed = next((place for place, part in enumerate(parts) if re.search(r"[*?\[{]", part)), len(parts))
    return "/".join(parts[:fixed])
