"""The record of a run: collected while it goes on, written to `_runs` when it ends, read by the runs that follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Self

from pyspark.sql import Row


@dataclass
class RunLog:
    """Facts about a run that goes on. Written to its row of `_runs` at the end, however it ends."""

    status: str = "finished"
    """Status of a run that ends without an error."""
    counts: dict[str, int] = field(default_factory=dict)
    """Rows by stage and meaning, such as prepare.events; for people and reports."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of each stage that ended."""
    versions: dict[str, str] = field(default_factory=dict)
    """Facts about the lists beside the versions of libraries. model: fingerprint of the learnt recommender. search:
    first passes of the top-k that the workers chose."""
    content_hash: str | None = None
    """Hash of the released lists."""


@dataclass(frozen=True)
class RunRecord:
    """One row of `_runs`."""

    run_id: str
    run_date: date
    status: str
    started_at: datetime
    """In UTC."""
    ended_at: datetime | None
    """In UTC; None while the run goes on."""
    stages: frozenset[str]
    """Names of the stages that ended, such as train: their results are whole."""
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Record of a row of `tables.RUNS`."""
        started_at, ended_at = (row[name] and row[name].astimezone(UTC) for name in ("started_at", "ended_at"))
        maps = {name: dict(row[name] or {}) for name in ("counts", "seconds", "versions")}
        stages = frozenset(maps["seconds"])
        return cls(row["run_id"], row["run_date"], row["status"], started_at, ended_at, stages, **maps)
