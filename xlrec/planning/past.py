"""What the lake remembers of nights: how long the newest published one took."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xlrec.config.models import Config
from xlrec.runtime import machine


@dataclass(frozen=True)
class Night:
    """A night that was published."""

    run_id: str
    users: int
    items: int
    k: int
    learnt: bool
    """Whether a recommender was learnt or used."""
    texts: int
    """Embedded that night."""
    seconds: dict[str, float]
    """By stage."""


def newest_night(config: Config) -> Night | None:
    """The newest published night of a lake of this machine; None where there is none.

    A published row of `_runs` never changes, so all files of the table may be read, those of older versions too.
    """
    rows = [row for row in _rows(config) if row["status"] == "published" and row["seconds"]]
    if not rows:
        return None
    row = max(rows, key=lambda one: (one["started_at"], one["run_id"]))
    counts, told = dict(row["counts"] or []), json.loads(row["config"])
    return Night(
        run_id=row["run_id"],
        users=counts.get("recommend.users", 0),
        items=counts.get("index.items", 0),
        k=int(told["k"]),
        learnt="train.model_visits" in counts,
        texts=counts.get("embed.texts", 0),
        seconds=dict(row["seconds"]),
    )


def _rows(config: Config) -> Iterator[dict[str, Any]]:
    lake = machine.local_folder(config.lake)
    for file in sorted((lake / "_runs").glob("*.parquet")) if lake else ():
        try:
            columns = ["run_id", "status", "started_at", "config", "counts", "seconds"]
            yield from pq.read_table(file, columns=columns).to_pylist()
        except (OSError, pa.ArrowInvalid):  # a file that a run is writing, or of another layout
            continue
