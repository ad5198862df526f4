"""Python workers of a real session: reused, and light when they are."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession


def test_a_worker_that_served_a_task_is_cheap_for_the_next(spark: SparkSession) -> None:
    def told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import gc
        import os
        import sys
        from zipimport import zipimporter

        from xlrec.runtime.files import local_path

        assert local_path("folder") == "folder"
        rows = sum(batch.num_rows for batch in batches)
        zips = sum(isinstance(finder, zipimporter) for finder in sys.path_importer_cache.values())
        facts = {"pid": os.getpid(), "frozen": gc.get_freeze_count(), "zips": zips, "rows": rows}
        yield pa.RecordBatch.from_pylist([facts])

    numbers = spark.range(0, 10, 1, 1).mapInArrow(told, "pid long, frozen long, zips long, rows long")
    runs = [numbers.collect()[0] for _ in range(3)]
    assert [run.rows for run in runs] == [10, 10, 10]
    again = [run for at, run in enumerate(runs) if run.pid in {one.pid for one in runs[:at]}]
    assert again, "no worker was reused"
    assert all(run.frozen > 10_000 and run.zips == 0 for run in again)


def test_workers_know_a_place_for_numbas_cache(spark: SparkSession) -> None:
    def places(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import os

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"places": [os.environ.get("NUMBA_CACHE_LOCATOR_CLASSES", "")]})

    (row,) = spark.range(1).coalesce(1).mapInArrow(places, "places string").collect()
    assert row["places"].endswith("xlrec.runtime.scratch.ScratchLocator")
