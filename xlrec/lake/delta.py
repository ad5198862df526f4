"""The tables of a lake, read and replaced in whole commits: the only place that knows Delta."""

import json
import os
import socket
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final
from zlib import crc32

from delta.exceptions.base import (
    ConcurrentAppendException,
    ConcurrentDeleteReadException,
    ConcurrentWriteException,
)
from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, DataFrameWriter, SparkSession
from pyspark.sql.types import StructType

from xlrec.errors import LakeError
from xlrec.runtime.arrays import replace_file
from xlrec.runtime.files import Files
from xlrec.runtime.hadoop import FileSystem
from xlrec.runtime.machine import is_local, local_folder
from xlrec.runtime.scratch import scratch_of
from xlrec.tables import Table

#: Every Delta reader reads these tables: reader version 1, no deletion vectors, no column mapping.
_PROPERTIES: Final = {
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "2",
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.checkpointPolicy": "classic",
}
#: Where Delta keeps the version of this session's newest commit.
_LAST_COMMIT: Final = "spark.databricks.delta.lastCommitVersionInSession"


class Lake:
    """The Delta tables below one folder."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        #: Whether workers read the driver's disk.
        self.on_one_machine = is_local(str(spark.sparkContext.master))
        #: Absolute: Spark would look a relative path up in the catalogue.
        self.root = root.rstrip("/") if "://" in root else os.path.abspath(root)

    def folder_of_files(self, name: str) -> Files:
        """A folder beside the tables. Where the lake is no folder, it lies on the driver's disk until it is kept."""
        folder = local_folder(self.root)
        if folder is not None:
            return Files(f"{folder}/{name}")
        apart = not self.on_one_machine
        return Files(f"{scratch_of(self.spark)}/{crc32(self.root.encode()):08x}/{name}", f"{self.root}/{name}", apart)

    def check_reachable(self) -> None:
        """Refuses a folder that some machine does not see, and a file system that cannot be reached.

        Raises:
            LakeError: a worker does not see what the driver writes, or the driver does not reach the lake.
        """
        folder, context = local_folder(self.root), self.spark.sparkContext
        if folder is None:
            FileSystem(self.spark, self.root).exists()
        if folder is None or self.on_one_machine:
            return
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".seen-", dir=folder) as probe:
            path, n_tasks = probe.name, 4 * context.defaultParallelism

            def host_without(_: Iterable[int]) -> Iterable[str]:
                return iter(() if os.path.exists(path) else (socket.gethostname(),))

            hosts = sorted(set(context.parallelize(range(n_tasks), n_tasks).mapPartitions(host_without).collect()))
        if hosts:
            raise LakeError(
                f"workers on {', '.join(hosts[:3])} do not see the lake's folder {folder}: name a lake that all "
                "machines reach (s3a://…, abfss://…, gs://…, hdfs://…), or a folder on a disk that they share"
            )

    def path(self, table: Table) -> str:
        """Folder of the table."""
        return f"{self.root}/{table.name}"

    def has_table(self, table: Table) -> bool:
        """Whether the table has been created."""
        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def read_table(self, table: Table) -> DataFrame:
        """The table as it is now.

        Raises:
            LakeError: no such table yet; names the job that makes it.
        """
        if not self.has_table(table):
            fix = f"run `xlrec {table.producer}` or `xlrec run`, which write it, or correct `lake` in the config"
            raise LakeError(f"the lake {self.root} has no table {table.name} yet: {fix}")
        frame = self.spark.read.format("delta").load(self.path(table))
        missing = [name for name in table.schema.names if name not in frame.columns]
        if missing:
            fix = "it is of another layout; delete the folder and run again, or name another lake"
            raise LakeError(f"{self.path(table)} has no column {', '.join(missing)}: {fix}")
        return frame.select(*table.schema.names)

    def table_version(self, table: Table) -> int:
        """Number of the table's newest commit."""
        self.read_table(table)
        last = DeltaTable.forPath(self.spark, self.path(table)).history(1).select("version").first()
        return int(last["version"]) if last else 0

    def create_table(self, table: Table) -> DeltaTable:
        """The table, created empty with its comments and properties where it is absent."""
        if self.has_table(table):
            self.read_table(table)
            return DeltaTable.forPath(self.spark, self.path(table))
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).addColumns(table.schema)
        builder = builder.comment(table.comment)
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        for key, value in (_PROPERTIES | table.properties).items():
            builder = builder.property(key, value)
        return builder.execute()

    def replace_rows(self, table: Table, frame: DataFrame, where: Mapping[str, object] | None = None) -> int:
        """Number of rows written in one commit, in place of the table or of its rows whose columns equal `where`.

        Raises:
            LakeError: the frame has another schema than the table.
        """
        self.create_table(table)
        writer = conform_to_table(table, frame).write.format("delta").mode("overwrite")
        if where is not None:
            writer = writer.option("replaceWhere", " AND ".join(f"{k} = {_literal(v)}" for k, v in where.items()))
        return self._saved(table, writer)

    def append_rows(self, table: Table, frame: DataFrame) -> int:
        """Number of rows appended in one commit; LakeError as `replace_rows`."""
        self.create_table(table)
        return self._saved(table, conform_to_table(table, frame).write.format("delta").mode("append"))

    def insert_unless(self, table: Table, values: Mapping[str, object], clash: str) -> None:
        """Inserts a row, null where no value is named, unless an old one fulfils `clash` (old as `t`, new as `s`).

        Of two rivals one loses: the merge sees the other's commit or conflicts with it, and inserts nothing. The caller
        reads back whether the row is there.
        """
        row = self.spark.createDataFrame([tuple(map(values.get, table.schema.names))], table.schema)
        merge = self.create_table(table).alias("t").merge(row.alias("s"), clash)
        with suppress(ConcurrentAppendException, ConcurrentDeleteReadException, ConcurrentWriteException):
            merge.whenNotMatchedInsertAll().execute()

    def update_rows(self, table: Table, where: Column, values: Mapping[str, Column]) -> None:
        """Sets columns of the rows that fulfil `where`, in one commit."""
        self.create_table(table).update(where, dict(values))

    def delete_rows(self, table: Table, where: Column) -> None:
        """Deletes the rows that fulfil `where`, in one commit; nothing where the table is absent."""
        if self.has_table(table):
            self.create_table(table).delete(where)

    def write_file(self, name: str, content: bytes) -> str:
        """Path or URL of a small file beside the tables, written whole or not at all."""
        place = f"{self.root}/{name}"
        path = local_folder(place)
        if path is None:
            FileSystem(self.spark, place).write(content)
            return place
        replace_file(path, lambda file: file.write(content))
        return str(path)

    def read_file(self, name: str) -> bytes | None:
        """Content of a small file beside the tables; None where it is absent."""
        place = f"{self.root}/{name}"
        path = local_folder(place)
        if path is None:
            system = FileSystem(self.spark, place)
            return system.read_file() if system.exists() else None
        return path.read_bytes() if path.exists() else None

    def _saved(self, table: Table, writer: DataFrameWriter) -> int:
        """Number of rows of the commit, from its first line without a Spark job; 0 where there was no commit."""
        self.spark.conf.unset(_LAST_COMMIT)
        writer.save(self.path(table))
        version = self.spark.conf.get(_LAST_COMMIT, None)
        if version is None:
            return 0
        commit = FileSystem(self.spark, f"{self.path(table)}/_delta_log").read_line(f"{int(version):020d}.json")
        return int(json.loads(commit)["commitInfo"].get("operationMetrics", {}).get("numOutputRows", 0))


def _literal(value: object) -> str:
    """The value as a SQL string literal: run ids and dates hold no quotes."""
    text = str(value)
    if "'" in text or "\\" in text:
        raise LakeError(f"{text!r} cannot stand in a replaceWhere")
    return f"'{text}'"


def conform_to_table(table: Table, frame: DataFrame) -> DataFrame:
    """The frame's columns in the table's order.

    Raises:
        LakeError: a column is missing, not of the table, or of another type.
    """
    seen, wanted = _types(frame.schema), _types(table.schema)
    if seen != wanted:
        odd = sorted(name for name in seen.keys() | wanted.keys() if seen.get(name) != wanted.get(name))
        pairs = [f"{name}: {seen.get(name, 'absent')} instead of {wanted.get(name, 'nothing')}" for name in odd]
        detail = "; ".join(pairs)
        raise LakeError(f"these rows do not fit the table {table.name} ({detail}): the stage {table.producer} must")
    return frame.select(*table.schema.names)


def _types(schema: StructType) -> dict[str, str]:
    """Type of each column, without comments and nullability."""
    return {field.name: field.dataType.simpleString() for field in schema.fields}
