"""Files of a run where workers see no disk of the driver's: through the lake and back, byte for byte."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from xlrec.errors import LakeError
from xlrec.runtime import files as files_module
from xlrec.runtime.files import PARTS, Files, fetched_copy, local_path
from xlrec.runtime.hadoop import MANIFEST, FileSystem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SIZES = {"empty": 0, "small.npy": 10, "day=1/part": 3, "below/exact": 64, "below/large": 1000}


EXPECTED = {name: bytes((len(name) + at) % 251 for at in range(size)) for name, size in SIZES.items()}


@pytest.fixture
def apart(tmp_path: Path, request: pytest.FixtureRequest) -> Files:
    name = f"{tmp_path.name}-{abs(hash(request.node.name))}"
    return Files(str(tmp_path / "driver"), (tmp_path / "lake" / name).as_uri(), apart=True)


def filled(spark: "SparkSession", files: Files) -> None:
    wanted = EXPECTED  # of this function, so that workers get it

    def tasks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from xlrec.runtime import files as module

        before, module._PART_BYTES = module._PART_BYTES, 64  # type: ignore[misc]  # several parts a file
        for batch in batches:
            for name in batch.column("name").to_pylist():

                def write(folder: str, name: str = name) -> None:
                    path = Path(folder) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(wanted[name])

                yield from files.written_parts(write).to_batches()
        module._PART_BYTES = before  # type: ignore[misc]  # Spark uses the worker again

    names = spark.createDataFrame([(name,) for name in SIZES], "name string").repartition(3)
    files.collect_parts(names.mapInArrow(tasks, PARTS))


def seen(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_tasks_write_reaches_the_driver_whatever_they_see(
    spark: "SparkSession", apart: Files, tmp_path: Path
) -> None:
    together = Files(str(tmp_path / "together"))
    for files in (apart, together):
        files.clear_folder()
        (Path(files.folder) / "small.npy").write_bytes(b"of an older, longer one")
        filled(spark, files)
        assert seen(Path(files.folder)) == EXPECTED
    assert not list((tmp_path / "lake").iterdir())  # what was between is gone


def test_a_folder_that_is_kept_comes_back_whole_and_executors_map_it(
    spark: "SparkSession", apart: Files, tmp_path: Path
) -> None:
    filled(spark, apart)
    apart.keep_in_lake(spark)
    again = Files(str(tmp_path / "other" / "driver"), apart.uri, apart=True)
    again.fetch_from_lake(spark)
    assert seen(Path(again.folder)) == EXPECTED
    place = apart.share_with_workers(spark)

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            folder = Path(local_path(place))
            paths = [path for path in folder.rglob("*") if path.is_file()]
            found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
            yield pa.RecordBatch.from_pydict({"name": list(found), "data": list(found.values())})

    rows = spark.range(1, numPartitions=1).mapInArrow(read, "name string, data binary").collect()
    assert {row["name"]: bytes(row["data"]) for row in rows if not row["name"].endswith((MANIFEST, ".crc"))} == EXPECTED
    assert str(tmp_path) not in place
    apart.delete_everywhere(spark)
    assert not Path(apart.folder).exists()
    assert not FileSystem(spark, str(apart.uri)).exists()
    assert spark.range(1).count() == 1  # executors that come later would miss what is still on Spark's list
    added = spark.sparkContext._jsc.sc().allAddedFiles()  # type: ignore[union-attr]
    assert not added.contains(apart.uri)


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "unfinished"])
def test_a_folder_that_is_not_whole_is_refused(
    spark: "SparkSession", apart: Files, tmp_path: Path, damage: str
) -> None:
    filled(spark, apart)
    apart.keep_in_lake(spark)
    lake = tmp_path / "lake" / str(apart.uri).rpartition("/")[2]
    assert set(json.loads((lake / MANIFEST).read_text())) == set(SIZES)
    for path in lake.rglob(".*.crc"):
        path.unlink()  # Hadoop's own sums of local files, which object stores have not
    target = lake / (MANIFEST if damage == "unfinished" else "below/large")
    if damage in ("gone", "unfinished"):
        target.unlink()
    else:
        target.write_bytes(target.read_bytes()[::-1] if damage == "changed" else b"x")
    again = Files(str(tmp_path / "again"), apart.uri, apart=True)
    said = {"gone": "cannot be read", "unfinished": "was never finished"}.get(damage, "is not what was written")
    with pytest.raises(LakeError, match=said):
        again.fetch_from_lake(spark)
    assert not Path(again.folder).exists()


def test_rows_come_as_parquet_whatever_workers_see(spark: "SparkSession", apart: Files, tmp_path: Path) -> None:
    rows = spark.range(100).repartition(3)
    for files in (apart, Files(str(tmp_path / "together"))):
        for _ in range(2):  # a second time in place of the first
            folder = files.collect_rows(rows, "logs")
        assert sorted(row.id for row in spark.read.parquet(folder).collect()) == list(range(100))
        files.delete_rows_folder("logs")
        assert Path(folder).exists() == (files.uri is None)


def test_a_file_system_that_nobody_knows_is_one_line(spark: "SparkSession") -> None:
    with pytest.raises(
        LakeError, match=r"^nope://host/lake cannot be reached \(.*nope.*\): its file system's jars are missing"
    ):
        FileSystem(spark, "nope://host/lake")


def test_a_folder_on_this_machine_is_used_where_it_lies(spark: "SparkSession", tmp_path: Path) -> None:
    assert fetched_copy(spark, str(tmp_path)) == str(tmp_path)
    assert fetched_copy(spark, tmp_path.as_uri()) == str(tmp_path)


def test_of_another_file_system_come_a_folder_with_all_below_it_and_a_single_file(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model" / "1_Pooling").mkdir(parents=True)
    for name in ("modules.json", "1_Pooling/config.json"):
        (tmp_path / "model" / name).write_text(name)
    monkeypatch.setattr(files_module, "local_folder", lambda _: None)
    copy = fetched_copy(spark, (tmp_path / "model").as_uri())
    assert not copy.startswith(str(tmp_path))
    assert seen(Path(copy)) == {name: name.encode() for name in ("modules.json", "1_Pooling/config.json")}
    one = Path(fetched_copy(spark, (tmp_path / "model" / "modules.json").as_uri()))
    assert (one.name, one.read_text()) == ("modules.json", "modules.json")
