"""Deletion of files beside the tables that no later night reads, once a night is released."""

from contextlib import suppress

from xlrec.errors import LakeError
from xlrec.lake.delta import Lake
from xlrec.pipeline.run import INDEXES, index_of
from xlrec.runtime.hadoop import FileSystem


def delete_old_indexes(lake: Lake, n_kept: int) -> int:
    """Number of item indexes deleted: all but those of the `n_kept` newest runs, at least 1.

    Tables, models and reports stay. A folder that cannot be deleted is left for the next night.
    """
    below = FileSystem(lake.spark, f"{lake.root}/{INDEXES}")
    folders = [entry.name for entry in below.list_children() if entry.is_folder]
    old = sorted(folders, key=_age, reverse=True)[n_kept:]
    for run_id in old:
        with suppress(LakeError):
            index_of(lake, run_id).delete_everywhere(lake.spark)
    return sum(not below.exists(run_id) for run_id in old)


def _age(run_id: str) -> tuple[str, int]:
    """Sorts run ids by date and number: object stores know no times of folders."""
    day, _, number = run_id.rpartition(".")
    return day, int(number) if number.isdigit() else 0
