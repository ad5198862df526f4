"""The ledger of a lake: the run that holds it (`_runs`) and the run that readers see (`_releases`)."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from xlrec.errors import LakeError, LeaseError
from xlrec.lake.delta import Lake
from xlrec.lake.lease import is_beating
from xlrec.lake.records import RunLog, RunRecord
from xlrec.tables import RECOMMENDATIONS, RELEASES, RUNS

ENDED = ("finished", "published", "rejected", "failed", "abandoned")


@dataclass(frozen=True)
class Release:
    """One release: the run that readers see from there on."""

    release: int
    run_id: str
    run_date: date


class Ledger:
    """Runs and releases of one lake. Only here is the clock read, and no recommendation depends on it."""

    def __init__(self, lake: Lake, heartbeat_s: float) -> None:
        """`heartbeat_s`: seconds between two heartbeats of a run."""
        self.lake, self.heartbeat_s = lake, heartbeat_s

    def begin_run(self, run_date: date, config: str, versions: Mapping[str, str]) -> str:
        """Id of a new run that now holds the lake: `<run_date>.<n>`.

        Runs of dead processes are marked abandoned first. For a process on another host that takes four heartbeats.

        Raises:
            LeaseError: a living run holds the lake.
        """
        self.lake.create_table(RUNS)
        for row in self._running():
            if not self._dead(row):
                raise LeaseError(_held(row))
            self.end_run(row["run_id"], "abandoned", message="its process was gone or gave no sign of life")
        n_earlier = self.lake.read_table(RUNS).where(F.col("run_date") == F.lit(run_date)).count()
        run_id = f"{run_date}.{n_earlier + 1}"
        values = {
            "run_id": run_id, "run_date": run_date, "status": "running", "holder": _holder(), "started_at": _now(),
            "config": config, "versions": dict(versions),
        }  # fmt: skip
        self.lake.insert_unless(RUNS, values, "t.status = 'running' OR t.run_id = s.run_id")
        if not self._is_held(run_id):
            rivals = self._running()
            raise LeaseError(_held(rivals[0]) if rivals else f"another run took {self.lake.root}; start again")
        return run_id

    def _is_held(self, run_id: str) -> bool:
        own = (F.col("run_id") == run_id) & (F.col("status") == "running") & (F.col("holder") == _holder())
        return not self.lake.read_table(RUNS).where(own).isEmpty()

    def check_held(self, run_id: str) -> None:
        """Refuses to go on with a run that no longer holds the lake.

        Raises:
            LeaseError: another run took the lake; this one must stop before it releases anything.
        """
        if not self._is_held(run_id):
            raise LeaseError(
                f"run {run_id} lost the lake {self.lake.root}: it gave no sign of life, and another run took over, or "
                "`xlrec unlock` was called"
            )

    def unlock(self, *, force: bool = False) -> list[str]:
        """Ids of the runs from which the lake was taken.

        With `force` also from a living run, which stops before its next stage and releases nothing.

        Raises:
            LeaseError: a living run holds the lake.
        """
        taken = []
        for row in self._running() if self.lake.has_table(RUNS) else []:
            if not force and not self._dead(row):
                raise LeaseError(f"{_held(row)}; `xlrec unlock --force` takes the lake from it")
            self.end_run(row["run_id"], "abandoned", message="unlocked by hand")
            taken.append(str(row["run_id"]))
        return taken

    def delete_abandoned(self) -> None:
        """Deletes the rows of abandoned runs that were never released.

        A night does it later, not when a run is abandoned: a slow process may be releasing them at that moment.
        """
        gone = self.lake.read_table(RUNS).where("status = 'abandoned'").select("run_id")
        unreleased = gone.join(self.lake.read_table(RELEASES), "run_id", "left_anti").collect()
        for run_id in sorted(row["run_id"] for row in unreleased):
            own = F.col("run_id") == run_id
            if not self.lake.read_table(RECOMMENDATIONS).where(own).isEmpty():
                self.lake.delete_rows(RECOMMENDATIONS, own)

    def end_run(self, run_id: str, status: str, log: RunLog | None = None, *, message: str | None = None) -> None:
        """Frees the lake and records the end of the run, with one of `ENDED`. The rows of a failed run are deleted.

        Versions of the log are added to those that `begin_run` was given.
        """
        log = log or RunLog()
        more = [F.lit(text) for pair in log.versions.items() for text in pair]
        if status == "failed":
            self._delete_unreleased(run_id)
        self.lake.update_rows(
            RUNS,
            (F.col("run_id") == run_id) & (F.col("status") == "running"),
            {
                "status": F.lit(status),
                "ended_at": F.lit(_now()),
                "counts": F.from_json(F.lit(json.dumps(log.counts)), "map<string,bigint>"),
                "seconds": F.from_json(F.lit(json.dumps(log.seconds)), "map<string,double>"),
                "content_hash": F.lit(log.content_hash),
                "message": F.lit(message),
                "versions": F.map_concat("versions", F.create_map(*more)) if more else F.col("versions"),
            },
        )

    def release(self, run_id: str, run_date: date, kind: str = "release", note: str | None = None) -> Release:
        """The new release: from this one commit on, readers see the run.

        Raises:
            LakeError: another release came in between.
        """
        newest = self.live_release()
        new = Release(newest.release + 1 if newest else 1, run_id, run_date)
        values = {
            "release": new.release, "run_id": run_id, "run_date": run_date, "released_at": _now(), "kind": kind,
            "note": note,
        }  # fmt: skip
        self.lake.insert_unless(RELEASES, values, "t.release >= s.release")
        if self.live_release() != new:
            raise LakeError(f"another release of {self.lake.root} came in between: look, then try again")
        return new

    def rollback(self, run_id: str | None = None, note: str | None = None) -> Release:
        """The new release of an older run: the named one, or the one that was live before the live run.

        Raises:
            LakeError: there is no such run, it was never released, or its rows are gone.
        """
        if not self.lake.has_table(RELEASES):
            raise LakeError(f"{self.lake.root} has no release to roll back to")
        live = self.live_release()
        released = self.lake.read_table(RELEASES)
        if run_id is not None:
            wanted = F.col("run_id") == run_id
        else:
            born = released.where(F.col("run_id") == (live.run_id if live else "")).agg(F.min("release")).first()
            wanted = F.col("release") < (born[0] if born and born[0] else 0)
        target = released.where(wanted).orderBy(F.desc("release")).first()
        if target is None:
            seen = sorted({row["run_id"] for row in released.select("run_id").distinct().take(50)})
            wanted_run = run_id or "before the live one"
            raise LakeError(f"no release names the run {wanted_run}; released were: {', '.join(seen)}")
        if self.rows_of(target["run_id"], target["run_date"]).isEmpty():
            raise LakeError(f"the rows of run {target['run_id']} are gone from {self.lake.root}: choose another run")
        return self.release(target["run_id"], target["run_date"], "rollback", note)

    def live_release(self) -> Release | None:
        """Newest release; None where there is none."""
        if not self.lake.has_table(RELEASES):
            return None
        row = self.lake.read_table(RELEASES).orderBy(F.desc("release")).first()
        return Release(row["release"], row["run_id"], row["run_date"]) if row else None

    def rows_of(self, run_id: str, run_date: date) -> DataFrame:
        """Recommendations of a run, released or not."""
        rows = self.lake.read_table(RECOMMENDATIONS)
        return rows.where((F.col("run_date") == F.lit(run_date)) & (F.col("run_id") == run_id))

    def newest_run(self, stage: str, status: tuple[str, ...] = ENDED) -> RunRecord | None:
        """Newest run of one of these statuses in which the stage ended; None where there is none."""
        if not self.lake.has_table(RUNS):
            return None
        ended = F.col("seconds").getItem(stage).isNotNull()
        runs = self.lake.read_table(RUNS).where(F.col("status").isin(*status) & ended)
        row = runs.orderBy(F.desc("started_at")).first()
        return RunRecord.from_row(row) if row else None

    def run_record(self, run_id: str) -> RunRecord:
        """Record of a run; LakeError where there is no such run."""
        row = self.lake.read_table(RUNS).where(F.col("run_id") == run_id).first()
        if row is None:
            raise LakeError(f"{self.lake.root} has no run {run_id}: `xlrec releases` lists the newest")
        return RunRecord.from_row(row)

    def _running(self) -> list[Row]:
        return self.lake.read_table(RUNS).where(F.col("status") == "running").take(10)

    def _dead(self, row: Row) -> bool:
        host, pid, born = row["holder"].split("/")
        if host == socket.gethostname():
            return bool(_born(int(pid)) != born)
        return not is_beating(self.lake, row["run_id"], self.heartbeat_s)

    def _delete_unreleased(self, run_id: str) -> None:
        own = F.col("run_id") == run_id
        if not self.lake.has_table(RELEASES) or self.lake.read_table(RELEASES).where(own).isEmpty():
            self.lake.delete_rows(RECOMMENDATIONS, own)


def _now() -> datetime:
    return datetime.now(UTC)


def _born(pid: int) -> str:
    """Start of the process in clock ticks since boot: it tells a living holder from a recycled pid."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return "gone" if Path("/proc").exists() else "unknown"


def _holder() -> str:
    return f"{socket.gethostname()}/{os.getpid()}/{_born(os.getpid())}"


def _held(row: Row) -> str:
    host, pid, _ = row["holder"].split("/")
    return f"run {row['run_id']} (process {pid} on {host}) holds the lake, and lives: wait for it, or end that process"
