"""Folders of files that a run makes: on the driver's disk, in the lake, and on the executors that read them.

A lake in a folder that all machines see holds them directly: tasks write and map them there. For any other lake, tasks
return their files as rows, which pass through the lake's own file system to the driver's disk. A finished folder is
copied into the lake, and every machine fetches it once (`SparkContext.addFile`). Spark copies it for each executor, and
all Python workers of an executor map the same files.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import pyarrow as pa
import pyarrow.dataset as ds

from xlrec.runtime.hadoop import MANIFEST, FileSystem
from xlrec.runtime.machine import local_folder
from xlrec.runtime.scratch import scratch_of
from xlrec.runtime.worker import keep_worker_light

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Schema of the rows that tasks return: parts of files.
PARTS: Final = "name string, start long, data binary"
_TYPES: Final[dict[str, pa.DataType]] = {"name": pa.string(), "start": pa.int64(), "data": pa.binary()}
_ARROW: Final = pa.schema(_TYPES)
_PART_BYTES: Final = 1 << 23
_FETCHED: Final = "fetched:"


@dataclass(frozen=True)
class Files:
    """One folder of files. Without a `uri`, workers see `folder` too."""

    folder: str
    """Path on the driver."""
    uri: str | None = None
    """URL in the lake, whose last part no other folder of the session shares."""
    apart: bool = False
    """Whether workers do not see `folder`."""

    def subfolder(self, name: str) -> "Files":
        """A subfolder, which is copied by itself."""
        return Files(f"{self.folder}/{name}", self.uri and f"{self.uri}-{name}", self.apart)

    def clear_folder(self) -> None:
        """Empties the folder on the driver."""
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(self.folder).mkdir(parents=True)

    def written_parts(self, write: Callable[[str], object]) -> pa.Table:
        """In a task: the files that `write` makes in the folder it gets; rows of `PARTS` if workers see no `folder`."""
        keep_worker_light()
        if not self.apart:
            write(self.folder)
            return _ARROW.empty_table()
        with tempfile.TemporaryDirectory(prefix="xlrec-") as folder:
            write(folder)
            return pa.Table.from_batches(list(parts_of(Path(folder))), _ARROW)

    def collect_parts(self, parts: "DataFrame") -> None:
        """Runs tasks of `written_parts`, and writes their files into the folder on the driver, never in memory."""
        if not self.apart:
            parts.count()
            return
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".parts-", dir=self.folder) as scratch:
            rows, files = Path(scratch, "rows"), Path(scratch, "files")
            self._through_lake(parts, "parts", str(rows))
            for batch in ds.dataset(str(rows), format="parquet", schema=_ARROW).to_batches(batch_size=16):
                for name, start, data in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    write_part(files / name, start, data)
            for path in [path for path in files.rglob("*") if path.is_file()]:
                target = Path(self.folder) / path.relative_to(files)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)

    def collect_rows(self, rows: "DataFrame", name: str) -> str:
        """Path of a Parquet folder of this name with the rows, below the folder on the driver."""
        path = Path(self.folder).absolute() / name
        if self.uri is None:
            rows.write.mode("overwrite").parquet(f"file:{path}")
            return str(path)
        with replaced_folder(path) as new:
            self._through_lake(rows, name, str(new))
        return str(path)

    def delete_rows_folder(self, name: str) -> None:
        """Deletes a folder of `collect_rows` where the whole folder is copied: workers do not read it."""
        if self.uri is not None:
            shutil.rmtree(Path(self.folder) / name, ignore_errors=True)

    def _through_lake(self, rows: "DataFrame", name: str, folder: str) -> None:
        uri = f"{self.uri}-{name}"
        rows.write.mode("overwrite").parquet(uri)
        between = FileSystem(rows.sparkSession, uri)
        Path(folder).mkdir(parents=True, exist_ok=True)
        for entry in between.list_children():
            if entry.name.endswith((".parquet", "_SUCCESS")):
                between.get_file(entry.name, Path(folder) / entry.name)
        between.delete()

    def keep_in_lake(self, spark: "SparkSession") -> None:
        """Copies the folder into the lake, whole or not at all."""
        if self.uri is not None:
            FileSystem(spark, self.uri).put_folder(Path(self.folder))

    def keep_in_lake_once(self, spark: "SparkSession") -> None:
        """Copies a folder whose name identifies its content into the lake, unless it is there."""
        if self.uri and not FileSystem(spark, self.uri).exists(MANIFEST):
            self.keep_in_lake(spark)

    def fetch_from_lake(self, spark: "SparkSession") -> None:
        """Brings the folder from the lake to the driver, unless it is there; LakeError where it has none whole."""
        if self.uri is not None and not Path(self.folder).exists():
            with replaced_folder(Path(self.folder)) as new:
                FileSystem(spark, self.uri).get_folder(new)

    def share_with_workers(self, spark: "SparkSession") -> str:
        """Name of the folder for `local_path` in workers; from the next job on, executors have the kept copy."""
        if self.uri is None or not self.apart:
            return self.folder
        context: Any = spark.sparkContext
        if not context._jsc.sc().allAddedFiles().contains(self.uri):
            context.addFile(self.uri, recursive=True)
        return _FETCHED + self.uri.rstrip("/").rpartition("/")[2]

    def delete_everywhere(self, spark: "SparkSession") -> None:
        """Deletes the folder everywhere but on executors that have it; later executors do not look for it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.uri is not None:
            context: Any = spark.sparkContext
            withdraw_added(context._jsc.sc().addedFiles(), self.uri.rstrip("/").rpartition("/")[2])
            FileSystem(spark, self.uri).delete()


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder for the block, moved in place of `folder` after it: readers see the old or the new one.

    Nothing changes where the block raises.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        yield new
        old = folder.rename(Path(scratch, "old")) if folder.exists() else None
        try:
            new.rename(folder)
        except OSError:
            if old:
                old.rename(folder)
            raise


def withdraw_added(added: Any, name: str) -> None:
    """Removes a file or archive of this last part of the URL from the context's `added`: later executors fetch none."""
    for urls in _each(added.valuesIterator()):
        for url in list(_each(urls.keysIterator())):
            if str(url).rstrip("/").endswith(f"/{name}"):
                urls.remove(url)


def _each(iterator: Any) -> Iterator[Any]:
    while iterator.hasNext():
        yield iterator.next()


def fetched_copy(spark: "SparkSession", place: str) -> str:
    """Path on the driver's disk of a folder or file; a copy where it is in another file system."""
    folder = local_folder(place)
    if folder is not None:
        return str(folder)
    name = place.rstrip("/").rpartition("/")[2]
    copy = Path(scratch_of(spark), "fetched", f"{crc32(place.encode()):08x}", name)
    if not copy.exists():
        FileSystem(spark, place).get_file("", copy)
    return str(copy)


def is_shared(place: str) -> bool:
    """Whether executors fetch a folder that `Files.share_with_workers` named."""
    return place.startswith(_FETCHED)


def local_path(place: str) -> str:
    """In a worker, which is cheap between tasks from here on: the folder that `share_with_workers` named."""
    keep_worker_light()
    if not is_shared(place):
        return place
    from pyspark import SparkFiles

    return str(SparkFiles.get(place.removeprefix(_FETCHED)))


def parts_of(folder: Path) -> Iterator[pa.RecordBatch]:
    """The folder's files as rows of `PARTS`, a batch per part, since Arrow's binary columns end at 2 GiB."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            for start in range(0, max(1, os.fstat(file.fileno()).st_size), _PART_BYTES):
                yield pa.RecordBatch.from_pydict(
                    {"name": [name], "start": [start], "data": [file.read(_PART_BYTES)]}, _ARROW
                )


def write_part(path: Path, start: int, data: bytes) -> None:
    """Writes a part of a file, in any order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(start)
        file.write(data)
