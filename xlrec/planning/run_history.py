"""Seconds and sizes of the newest published run, from the run records of a lake on this machine."""

import json
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from xlrec.config.models import Config
from xlrec.runtime import machine

#: Sizes by the counts of a run that record them.
_SIZES: Final = {
    "recommend.users": "users",
    "index.items": "items",
    "prepare.texts": "texts",
    "translate.texts": "untranslated",
    "embed.texts": "new_texts",
    "prepare.events": "events",
}


class PastRun(NamedTuple):
    """A run that was published."""

    run_id: str
    k: int
    seconds: dict[str, float]  # wall seconds by stage
    sizes: dict[str, int]  # sizes of its inputs, as far as they are recorded, by the names of `Sizes`


def newest_run(config: Config) -> PastRun | None:
    """The newest published run of a lake on this machine; None where there is none.

    A published row of `_runs` never changes, so all files of the table are read, those of older versions too.
    """
    lake, rows = machine.local_folder(config.lake), []
    columns = ["run_id", "status", "started_at", "config", "counts", "seconds"]
    for file in sorted((lake / "_runs").glob("*.parquet")) if lake else ():
        try:
            rows += pq.read_table(file, columns=columns).to_pylist()
        except (OSError, pa.ArrowInvalid):  # a file that a run is writing, or of another layout
            continue
    published = [row for row in rows if row["status"] == "published" and row["seconds"]]
    if not published:
        return None
    row = max(published, key=lambda row: (row["started_at"], row["run_id"]))
    sizes = {_SIZES[name]: count for name, count in row["counts"] or [] if name in _SIZES}
    return PastRun(row["run_id"], json.loads(row["config"])["k"], dict(row["seconds"]), sizes)
