"""The report of a run, from small aggregates of the lake's tables and a few sample lists."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.lake.delta import Lake
from xlrec.pipeline.publish import Published
from xlrec.pipeline.quality import COUNTED
from xlrec.pipeline.rows import bounded_rows, one_row
from xlrec.pipeline.run import Run
from xlrec.pipeline.samples import sample_lists
from xlrec.reporting import data
from xlrec.reporting.console import print_run
from xlrec.reporting.views import render_report
from xlrec.stages.prepare import MarketLog
from xlrec.tables import METRICS, RECOMMENDATIONS, REJECTS, USERS

if TYPE_CHECKING:
    from xlrec.training.recommender.fusion_weights import FusionFit

#: Folder of the lake below which pages lie.
REPORTS: Final = "_reports"


@dataclass(frozen=True)
class Results:
    """Results of a run's steps that the report shows and no table holds."""

    market_logs: tuple[MarketLog, ...]
    weighing: "FusionFit | None" = None
    published: Published | None = None


def finish_report(run: Run, results: Results, config_file: str | None) -> str:
    """Path or URL of the report, `_reports/<run_id>.html` below the lake; its main figures are printed."""
    report = collect_report(run, results, config_file or "CONFIG")
    page = run.lake.write_file(f"{REPORTS}/{run.run_id}.html", render_report(report).encode())
    print_run(report, table=run.lake.path(RECOMMENDATIONS), page=page)
    return page


def collect_report(run: Run, results: Results, config_file: str) -> data.ReportData:
    """Data of the run's report."""
    lake, config = run.lake, run.config
    record = run.ledger.run_record(run.run_id)
    header = data.Header(
        run_id=run.run_id,
        run_date=run.run_date,
        status=record.status,
        lake=config.lake,
        encoder=f"{config.embed.encoder}, {encoders.load(config.embed).dim} dimensions",
        started_at=record.started_at,
        seconds=((record.ended_at or record.started_at) - record.started_at).total_seconds(),
        versions=dict(record.versions),
        config_file=config_file,
    )
    lists = run.ledger.rows_of(run.run_id, run.run_date) if "recommend" in record.stages else None
    return data.ReportData(
        header,
        tuple(run.progress.summary()),
        rejects=_rejects(run),
        quality=_quality(run.counts),
        market_logs=results.market_logs,
        parts=tuple(results.weighing.figures if results.weighing else ()),
        release=_release(run, results.published) if results.published else None,
        lists=list_figures(lists, lake.read_table(USERS), config) if lists is not None else None,
        metrics=_metrics(lake, config),
        samples=sample_lists(lake, lists, config) if lists is not None else (),
    )


def _rejects(run: Run) -> tuple[data.RejectRow, ...] | None:
    if not run.lake.has_table(REJECTS):
        return None
    own = run.lake.read_table(REJECTS).where(F.col("run_id") == run.run_id)
    rows = bounded_rows(own.groupBy("input", "rule").agg(F.count("*").alias("n")).orderBy("input", "rule"))
    return tuple(data.RejectRow(row["input"], row["rule"], row["n"]) for row in rows)


def _quality(counts: Mapping[str, int]) -> tuple[data.QualityRow, ...]:
    """A row per language that was counted, those with most texts first."""
    tags = {name.split(".", 2)[2] for name in counts if name.startswith("quality.")}
    rows = [data.QualityRow(tag, *(counts.get(f"quality.{kind}.{tag}", 0) for kind in COUNTED)) for tag in tags]
    return tuple(sorted(rows, key=lambda row: (-row.texts, row.language)))


def _release(run: Run, published: Published) -> data.Release:
    live = run.ledger.live_release()
    return data.Release(
        number=live.release if live and live.run_id == run.run_id else None,
        rows=run.counts["audit.rows"],
        users=run.counts["recommend.users"],
        users_with_list=run.counts["audit.users_with_list"],
        short_lists=run.counts["audit.short_lists"],
        k=run.config.k,
        bars=tuple(published.verdicts),
        live_run_id=published.replaced.run_id if published.replaced else None,
        live_rows=run.counts.get("audit.live_rows"),
        content_hash=published.content_hash,
    )


def list_figures(lists: DataFrame, users: DataFrame, config: Config) -> data.Lists:
    """Figures of audited lists: each has one row of rank 1, and one of rank k unless it is short."""
    groups = lists.groupBy("market", "source", "item_language").agg(
        F.count("*").alias("n"), F.count_if(F.col("rank") == 1).alias("lists"),
        F.count_if(F.col("rank") == config.k).alias("full"),
    )  # fmt: skip
    sources, listed = Counter[tuple[str, str]](), Counter[str]()
    markets: dict[str, Counter[str]] = {}
    for row in bounded_rows(groups):
        sources[row["market"], row["source"]] += row["n"]
        listed[row["item_language"]] += row["n"]
        markets.setdefault(row["market"], Counter()).update({name: row[name] for name in ("n", "lists", "full")})
    n_rows = max(listed.total(), 1)
    pairs = users.select(F.explode(F.arrays_zip("languages", "language_weights")).alias("pair")).select("pair.*")
    sums = bounded_rows(pairs.groupBy("languages").agg(F.sum("language_weights").alias("weight")))
    total = sum(row["weight"] for row in sums) or 1.0
    read = {row["languages"]: row["weight"] / total for row in sums}
    tongues = sorted(listed.keys() | read.keys(), key=lambda name: (-listed[name], name))
    return data.Lists(
        tuple(
            data.MarketRow(market, sizes["lists"], sizes["n"], sizes["lists"] - sizes["full"])
            for market, sizes in sorted(markets.items())
        ),
        tuple(data.LanguageRow(name, listed[name] / n_rows, read.get(name, 0.0)) for name in tongues),
        tuple(data.SourceRow(market, source, n) for (market, source), n in sorted(sources.items())),
    )


def _metrics(lake: Lake, config: Config) -> data.Metrics | None:
    if not lake.has_table(METRICS):
        return None
    metrics = lake.read_table(METRICS)
    newest = one_row(metrics.agg(F.max("evaluated_at").alias("at")))["at"]
    if newest is None:
        return None
    rows = bounded_rows(metrics.where(F.col("evaluated_at") == F.lit(newest)).orderBy("system", "slice", "metric"))
    fields = [name for name in METRICS.schema.names if name not in ("evaluated_at", "split")]
    shown = tuple(data.MetricRow(**{name: row[name] for name in fields}) for row in rows)
    cutoff = 10 if 10 in config.evaluate.cutoffs else config.evaluate.cutoffs[0]
    return data.Metrics(shown, evaluated_at=newest.astimezone(UTC), split=rows[0]["split"], cutoff=cutoff)
