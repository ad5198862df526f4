"""Fills the report of a run from the lake's tables: small aggregates and a few sample lists only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.lake.delta import Lake
from xlrec.pipeline.quality import COUNTED
from xlrec.pipeline.run import Run
from xlrec.pipeline.samples import sample_lists
from xlrec.pipeline.steps import bounded, one_row
from xlrec.reporting import data
from xlrec.reporting.console import print_run
from xlrec.reporting.html import render
from xlrec.stages.audit import Verdict
from xlrec.tables import METRICS, RECOMMENDATIONS, REJECTS, RUNS, USERS

#: Folder of the lake below which pages lie.
REPORTS: Final = "_reports"


def finish(run: Run, verdicts: Sequence[Verdict], config_file: str | None) -> str:
    """Writes `_reports/<run_id>.html` below the lake and prints what a person wants to see; returns where it lies."""
    report = collect(run, verdicts, config_file or "CONFIG")
    page = run.lake.write_file(f"{REPORTS}/{run.run_id}.html", render(report).encode())
    print_run(report, table=run.lake.path(RECOMMENDATIONS), page=page)
    return page


def collect(run: Run, verdicts: Sequence[Verdict], config_file: str) -> data.ReportData:
    """All that the report shows of this run."""
    lake, config = run.lake, run.config
    row = one_row(lake.read(RUNS).where(F.col("run_id") == run.run_id))
    started = row["started_at"].astimezone(UTC)
    header = data.Header(
        run_id=run.run_id,
        run_date=run.run_date,
        status=row["status"],
        lake=config.lake,
        encoder=f"{config.embed.encoder}, {encoders.load(config.embed).dim} dimensions",
        started_at=started,
        seconds=(row["ended_at"].astimezone(UTC) - started).total_seconds(),
        versions=row["versions"],
        config_file=config_file,
    )
    stages = tuple(run.progress.summary())
    lists = run.ledger.rows_of(run.run_id, run.run_date) if "recommend.recommendations" in run.counts else None
    return data.ReportData(
        header,
        stages,
        rejects=_rejects(run),
        quality=_quality(run.counts),
        market_logs=tuple(run.markets),
        parts=tuple(run.weighing.figures if run.weighing else ()),
        release=_release(run, verdicts),
        lists=lists_told(lists, lake.read(USERS), config) if lists is not None else None,
        metrics=_metrics(lake, config),
        samples=sample_lists(lake, lists, config) if lists is not None else (),
    )


def _rejects(run: Run) -> tuple[data.RejectRow, ...] | None:
    if not run.lake.exists(REJECTS):
        return None
    mine = run.lake.read(REJECTS).where(F.col("run_id") == run.run_id)
    rows = bounded(mine.groupBy("input", "rule").agg(F.count("*").alias("n")).orderBy("input", "rule"), run.config)
    return tuple(data.RejectRow(row["input"], row["rule"], row["n"]) for row in rows)


def _quality(counts: Mapping[str, int]) -> tuple[data.QualityRow, ...]:
    """A row per language that was counted, those with most texts first."""
    tags = {name.split(".", 2)[2] for name in counts if name.startswith("quality.")}
    rows = [data.QualityRow(tag, *(counts.get(f"quality.{what}.{tag}", 0) for what in COUNTED)) for tag in tags]
    return tuple(sorted(rows, key=lambda row: (-row.texts, row.language)))


def _release(run: Run, verdicts: Sequence[Verdict]) -> data.Release | None:
    if "audit.rows" not in run.counts:
        return None
    live = run.ledger.live()
    return data.Release(
        number=live.release if live and live.run_id == run.run_id else None,
        rows=run.counts["audit.rows"],
        users=run.counts["recommend.users"],
        users_with_list=run.counts["audit.users_with_list"],
        short_lists=run.counts["audit.short_lists"],
        k=run.config.k,
        bars=tuple(verdicts),
        live_run_id=run.replaced.run_id if run.replaced else None,
        live_rows=run.counts.get("audit.live_rows"),
        content_hash=run.content_hash,
    )


def lists_told(lists: DataFrame, users: DataFrame, config: Config) -> data.Lists:
    """Of lists that the audit found whole: each has one row of rank 1, and one of rank k unless it is short."""
    groups = lists.groupBy("market", "source", "item_language").agg(
        F.count("*").alias("n"), F.count_if(F.col("rank") == 1).alias("lists"),
        F.count_if(F.col("rank") == config.k).alias("full"),
    )  # fmt: skip
    sources, listed = Counter[tuple[str, str]](), Counter[str]()
    markets: dict[str, Counter[str]] = {}
    for row in bounded(groups, config):
        sources[row["market"], row["source"]] += row["n"]
        listed[row["item_language"]] += row["n"]
        markets.setdefault(row["market"], Counter()).update({name: row[name] for name in ("n", "lists", "full")})
    n_rows = max(listed.total(), 1)
    pairs = users.select(F.explode(F.arrays_zip("languages", "language_weights")).alias("one")).select("one.*")
    sums = bounded(pairs.groupBy("languages").agg(F.sum("language_weights").alias("weight")), config)
    total = sum(row["weight"] for row in sums) or 1.0
    read = {row["languages"]: row["weight"] / total for row in sums}
    tongues = sorted(listed.keys() | read.keys(), key=lambda name: (-listed[name], name))
    return data.Lists(
        tuple(
            data.MarketRow(market, found["lists"], found["n"], found["lists"] - found["full"])
            for market, found in sorted(markets.items())
        ),
        tuple(data.LanguageRow(name, listed[name] / n_rows, read.get(name, 0.0)) for name in tongues),
        tuple(data.SourceRow(market, source, n) for (market, source), n in sorted(sources.items())),
    )


def _metrics(lake: Lake, config: Config) -> data.Metrics | None:
    if not lake.exists(METRICS):
        return None
    metrics = lake.read(METRICS)
    newest = one_row(metrics.agg(F.max("evaluated_at").alias("at")))["at"]
    if newest is None:
        return None
    rows = bounded(metrics.where(F.col("evaluated_at") == F.lit(newest)).orderBy("system", "slice", "metric"), config)
    fields = [name for name in METRICS.schema.names if name not in ("evaluated_at", "split")]
    found = tuple(data.MetricRow(**{name: row[name] for name in fields}) for row in rows)
    cutoff = 10 if 10 in config.evaluate.cutoffs else config.evaluate.cutoffs[0]
    at: datetime = newest.astimezone(UTC)
    return data.Metrics(found, evaluated_at=at, split=rows[0]["split"], cutoff=cutoff)
