"""A run: its hold on the lake, the record of what each stage did, and an honest end whatever happens."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import TYPE_CHECKING, Final

from pyspark.sql import DataFrame, SparkSession

from xlrec import __version__
from xlrec.config.models import Config
from xlrec.errors import AuditError, LakeError, XlrecError
from xlrec.index import ivf
from xlrec.lake.delta import Lake
from xlrec.lake.lease import Heartbeat
from xlrec.lake.releases import Ledger, Release
from xlrec.runtime.files import Files
from xlrec.runtime.progress import Progress, StageProgress
from xlrec.stages.prepare import MarketLog
from xlrec.tables import RECOMMENDATIONS, Table
from xlrec.translators.shipping import with_local_models

if TYPE_CHECKING:
    from xlrec.training.recommender.fusion_weights import Weighing

#: Folder of the lake below which each run has its item index.
INDEXES: Final = "_index"


@dataclass
class Run:
    """What every step of the pipeline works with."""

    lake: Lake
    ledger: Ledger
    config: Config
    progress: Progress
    run_id: str
    run_date: date
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    status: str = "finished"
    cache: Lake | None = None
    replaced: Release | None = None
    content_hash: str | None = None
    model: str | None = None
    """Fingerprint of the learnt recommender."""
    search: str | None = None
    """First passes of the top-k that the workers chose."""
    markets: tuple[MarketLog, ...] = ()
    """How the markets log, those that disagree with the others first."""
    weighing: "Weighing | None" = None
    """Weights of the sources in each market, where `train` found them, and the list beside its parts."""

    @property
    def texts(self) -> Lake:
        """Lake of texts and embeddings: the run's own, or the nightly's where tables lie apart."""
        return self.cache or self.lake

    @property
    def spark(self) -> SparkSession:
        """The session."""
        return self.lake.spark

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "rows") -> Iterator[StageProgress]:
        """Times and shows one stage; a run that lost the lake stops here."""
        self.ledger.check_held(self.run_id)
        started = perf_counter()
        with self.progress.stage(name, total=total, unit=unit) as shown:
            yield shown
        self.seconds[name] = round(perf_counter() - started, 3)

    def replace(self, stage: str, table: Table, frame: DataFrame) -> int:
        """Replaces the table (the recommendations: the run's own rows) and counts what was written."""
        own = {"run_date": self.run_date, "run_id": self.run_id} if table is RECOMMENDATIONS else None
        rows = self.lake.replace(table, frame, own)
        self.counts[f"{stage}.{table.name}"] = rows
        return rows

    @property
    def index(self) -> Files:
        """The item index of the run."""
        return index_of(self.lake, self.run_id)


def index_of(lake: Lake, run_id: str) -> Files:
    """A run's item index."""
    return lake.files(f"{INDEXES}/{run_id}")


@contextmanager
def running(spark: SparkSession, config: Config, progress: Progress, run_date: date | None) -> Iterator[Run]:
    """A run that holds the lake; `None` as date takes that of the newest run that prepared.

    However the block ends, `_runs` says how: its status, or failed, or rejected where the audit refused it. Readers see
    nothing of a run that was not released.

    Raises:
        LakeError: the date is None and nothing was prepared yet, or the lake is not seen by all machines.
        LeaseError: another run holds the lake.
        MachineError: `retrieve.search` is ann, and faiss is missing.
    """
    told = versions()
    if config.retrieve.search == "ann":
        told |= {"faiss": ivf.require().__version__}
    lake, shown = Lake(spark, config.lake), json.loads(config.model_dump_json())
    config = with_local_models(spark, config)
    lake.check_seen()
    ledger = Ledger(lake, config.publish.heartbeat_s)
    if run_date is None:
        prepared = ledger.newest("prepare.items")
        if prepared is None:
            raise LakeError(f"nothing was prepared in {config.lake} yet: run `xlrec prepare` or `xlrec run` first")
        run_date = prepared["run_date"]
    run_id = ledger.begin(run_date, json.dumps(shown, ensure_ascii=False, sort_keys=True), told)
    run = Run(lake, ledger, config, progress, run_id, run_date)
    try:
        with Heartbeat(lake, run_id, config.publish.heartbeat_s):
            yield run
    except BaseException as error:
        status = "rejected" if isinstance(error, AuditError) else "failed"
        # Only our own messages are free of texts and user ids.
        message = str(error) if isinstance(error, XlrecError) else type(error).__name__
        ledger.end(run_id, status, counts=run.counts, seconds=run.seconds, message=message)
        raise
    chosen = {"model": run.model, "search": run.search}
    ledger.end(
        run_id, run.status, counts=run.counts, seconds=run.seconds, content_hash=run.content_hash, versions=chosen
    )


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"xlrec": __version__}
    for name in ("pyspark", "delta-spark", "numpy", "numba", "pyarrow", "torch", "sentence-transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a cluster's own pyspark may come without metadata
            found[name] = "unknown"
    return found
