"""The printed forecast of a night: sizes, memory, disk, seconds by stage, and changes that would make it cheaper."""

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from xlrec.planning.night import Forecast, Night, forecast_cost, what_if
from xlrec.planning.rates import STAGE_RATES
from xlrec.planning.translation import TranslationCost
from xlrec.reporting.console import label_grid
from xlrec.runtime.progress import duration_text


def print_plan(night: Night, console: Console | None = None) -> None:
    """Prints the forecast: a few lines where fixed seconds are most of the night, else with two tables."""
    out, cost = console or Console(), forecast_cost(night)
    total, fixed = sum(cost.seconds.values()), sum(fixed for fixed, _ in STAGE_RATES.values())
    out.print(label_grid(_plan_facts(night, cost)))
    source = f"scaled from run {night.last.run_id}" if night.last else "within a factor of two"
    out.print(Text(f"The night takes about {duration_text(total)}, {source}.", style="bold"))
    if fixed > 0.8 * total:
        out.print("Nearly all of it is Spark's fixed time: no setting makes it much shorter.")
        return
    changes = what_if(night)
    for head, rows in (("stage", cost.seconds), *([("the night with one change", changes)] if changes else [])):
        table = Table(head, box=SIMPLE_HEAD)
        table.add_column("time", justify="right")
        for name, seconds in rows.items():
            table.add_row(Text(name), duration_text(seconds))
        out.print(table)


def plan_json(night: Night) -> dict[str, Any]:
    """The forecast for programs: counts, bytes, seconds."""
    cost, last = forecast_cost(night), night.last.run_id if night.last else None
    facts = {"total_seconds": sum(cost.seconds.values()), "what_if": what_if(night), "last_run": last}
    translation = {"translation": cost.translation._asdict() if cost.translation else None}
    return asdict(cost) | translation | facts | {"sizes": asdict(night.sizes), "cluster": asdict(night.cluster)}


def _plan_facts(night: Night, cost: Forecast) -> list[tuple[str, str]]:
    sizes, cluster = night.sizes, night.cluster
    there = f" of {decimal(cluster.memory)}" if cluster.memory else ""
    needed = f"{decimal(cost.executor_memory)}{there} memory and {decimal(cost.executor_disk)} disk"
    driver = f"{decimal(cost.driver_memory)} memory and {decimal(cost.driver_disk)} disk"
    searching = duration_text(night.search_seconds / (cluster.executors * cluster.cores))
    facts = [
        ("users", f"{sizes.users:,}, {sizes.active:,} with events; {sizes.events:,} events"),
        ("items", f"{sizes.items:,} in {sizes.markets} markets; {sizes.texts:,} texts, {sizes.new_texts:,} to embed"),
        ("executors", f"{cluster.executors} of {cluster.cores} cores; each needs {needed}"),
        ("driver", "on the same machine" if cluster.executors == 1 else driver),
        ("search", f"{sizes.active:,} users × {sizes.items:,} items: {searching} of the stage recommend"),
        ("data", f"{decimal(cost.shuffle_bytes)} shuffled, {decimal(cost.lake_bytes)} more in the lake"),
    ]
    return facts if cost.translation is None else [*facts, ("translation", _translation_line(cost.translation))]


def _translation_line(cost: TranslationCost) -> str:
    tokens = f"about {cost.read_tokens:,} tokens read and {cost.written_tokens:,} written"
    waiting = f"; {cost.waiting:,} wait for other nights" if cost.waiting else ""
    return f"{cost.texts:,} texts, {tokens}, price {cost.price:,.2f}{waiting}"
