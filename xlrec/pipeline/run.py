"""A run: its hold on the lake, its log, and an honest end whatever happens."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from time import perf_counter
from typing import Final

from pyspark.sql import DataFrame, SparkSession

from xlrec import __version__
from xlrec.config.models import Config
from xlrec.errors import AuditError, LakeError, XlrecError
from xlrec.index import ivf
from xlrec.lake.delta import Lake
from xlrec.lake.lease import Heartbeat
from xlrec.lake.records import RunLog
from xlrec.lake.releases import Ledger
from xlrec.runtime.files import Files
from xlrec.runtime.machine import installed_version
from xlrec.runtime.progress import Progress, StageProgress
from xlrec.tables import RECOMMENDATIONS, Table
from xlrec.translators.shipping import with_local_models

#: Folder of the lake below which each run has its item index.
INDEXES: Final = "_index"


@dataclass(frozen=True)
class Run:
    """One run on a lake, as every step of the pipeline gets it. Steps return their results, and log facts."""

    lake: Lake
    ledger: Ledger
    config: Config
    progress: Progress
    run_id: str
    run_date: date
    log: RunLog = field(default_factory=RunLog)
    texts_lake: Lake | None = None
    """Lake of texts and embeddings, where it is another one than `lake`."""

    @property
    def texts(self) -> Lake:
        """Lake of texts and embeddings."""
        return self.texts_lake or self.lake

    @property
    def spark(self) -> SparkSession:
        """The session."""
        return self.lake.spark

    @property
    def counts(self) -> dict[str, int]:
        """Counts of the log."""
        return self.log.counts

    @property
    def index(self) -> Files:
        """Item index of the run."""
        return index_of(self.lake, self.run_id)

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "rows") -> Iterator[StageProgress]:
        """Progress of one stage, timed and shown. A run that lost the lake stops here with a LeaseError."""
        self.ledger.check_held(self.run_id)
        started = perf_counter()
        with self.progress.stage(name, total=total, unit=unit) as progress:
            yield progress
        self.log.seconds[name] = round(perf_counter() - started, 3)

    def replace_table(self, stage: str, table: Table, frame: DataFrame) -> int:
        """Number of rows written in place of the table, or of the run's own rows of the recommendations; counted."""
        own = {"run_date": self.run_date, "run_id": self.run_id} if table is RECOMMENDATIONS else None
        rows = self.lake.replace_rows(table, frame, own)
        self.counts[f"{stage}.{table.name}"] = rows
        return rows


def index_of(lake: Lake, run_id: str) -> Files:
    """Item index of a run."""
    return lake.folder_of_files(f"{INDEXES}/{run_id}")


def open_lake(spark: SparkSession, config: Config) -> Lake:
    """The lake of the config, which the driver and all workers reach, else LakeError."""
    lake = Lake(spark, config.lake)
    lake.check_reachable()
    return lake


@contextmanager
def running_on(lake: Lake, config: Config, progress: Progress, run_date: date | None) -> Iterator[Run]:
    """A run that holds the lake; without a date it takes that of the newest run that prepared.

    `_runs` records the end of the block: the status of the log, rejected after an AuditError, or failed. Readers see
    nothing of a run that was not released.

    Raises:
        LakeError: the date is None and nothing was prepared yet.
        LeaseError: another run holds the lake.
        MachineError: `retrieve.search` is ann, and faiss is missing.
    """
    used = package_versions()
    if config.retrieve.search == "ann":
        used |= {"faiss": ivf.require_faiss().__version__}
    effective = json.dumps(config.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
    config = with_local_models(lake.spark, config)
    ledger = Ledger(lake, config.publish.heartbeat_s)
    if run_date is None:
        prepared = ledger.newest_run("prepare")
        if prepared is None:
            raise LakeError(f"nothing was prepared in {config.lake} yet: run `xlrec prepare` or `xlrec run` first")
        run_date = prepared.run_date
    run_id = ledger.begin_run(run_date, effective, used)
    run = Run(lake, ledger, config, progress, run_id, run_date)
    try:
        with Heartbeat(lake, run_id, config.publish.heartbeat_s):
            yield run
    except BaseException as error:
        status = "rejected" if isinstance(error, AuditError) else "failed"
        # Only our own messages are free of texts and user ids.
        message = str(error) if isinstance(error, XlrecError) else type(error).__name__
        ledger.end_run(run_id, status, run.log, message=message)
        raise
    ledger.end_run(run_id, run.log.status, run.log)


def package_versions() -> dict[str, str]:
    """Versions of the packages that a result depends on, by name."""
    names = ("pyspark", "delta-spark", "numpy", "numba", "pyarrow", "torch", "sentence-transformers")
    # A cluster's own pyspark may come without metadata.
    return {"xlrec": __version__} | {name: installed_version(name) or "unknown" for name in names}
