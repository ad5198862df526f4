"""Prepare: the Parquet inputs into the tables texts, items, events, users and rejects."""

from collections import Counter
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame

from xlrec.config.models import Config
from xlrec.lake.delta import Lake
from xlrec.lake.inputs import read_input
from xlrec.pipeline import quality
from xlrec.pipeline.rows import bounded_rows
from xlrec.pipeline.run import Run
from xlrec.stages import prepare as preparing
from xlrec.tables import CATALOG, EVENTS, INTERACTIONS, ITEMS, REJECTS, TEXTS, USERS, USERS_INPUT


@dataclass(frozen=True)
class Inputs:
    """The inputs in the layout's columns and types."""

    catalog: DataFrame
    interactions: DataFrame
    users: DataFrame | None


def dated_inputs(lake: Lake, config: Config) -> tuple[Inputs, date]:
    """The inputs, read with explicit schemas over pinned files, and the run's logical date.

    Raises:
        InputError: an input is missing or of another schema, or no interaction has a time to take the date from.
    """
    paths, names, spark = config.inputs, config.columns, lake.spark
    inputs = Inputs(
        read_input(spark, paths.catalog, CATALOG, names.catalog, "catalog"),
        read_input(spark, paths.interactions, INTERACTIONS, names.interactions, "interactions"),
        read_input(spark, paths.users, USERS_INPUT, names.users, "users") if paths.users else None,
    )
    if config.run_date is not None:
        return inputs, config.run_date
    days = {row["day"]: row["n"] for row in bounded_rows(preparing.days_of(inputs.interactions))}
    return inputs, preparing.default_run_date(days)


def is_prepared(lake: Lake) -> bool:
    """Whether the lake holds the tables of `prepare`."""
    return all(lake.has_table(table) for table in (TEXTS, ITEMS, EVENTS, USERS))


def prepare(run: Run, inputs: Inputs) -> tuple[preparing.MarketLog, ...]:
    """How the markets log, after texts, items, events, users and rejects are written and every row is counted.

    InputError: too many rows of an input are bad.
    """
    with run.stage("prepare") as progress:
        counts = _write_tables(run, inputs)
        run.counts.update({f"prepare.{name}.{rule or 'valid'}": n for (name, rule), n in counts.items()})
        preparing.check_rejected(counts, run.config.prepare.max_rejected_share)
        by_rule = Counter[str]()
        for (_, rule), n in counts.items():
            by_rule[rule] += n
        n_all, n_valid, n_out = by_rule.total(), by_rule[""], by_rule[preparing.OPTED_OUT]
        market_logs, markets_note = quality.check_markets(run)
        notes = (f"{n_out} rows of users who opted out" if n_out else "", markets_note)
        note = " · ".join(filter(None, notes))
        progress.record_result(rows_in=n_all, rows_out=n_valid, rejected=n_all - n_valid - n_out, note=note)
    return market_logs


def _write_tables(run: Run, inputs: Inputs) -> dict[tuple[str, str], int]:
    """Rows by (input, rule), '' for valid ones."""
    config, lake = run.config.prepare, run.lake
    languages = tuple(sorted(row[0] for row in bounded_rows(preparing.stated_languages(inputs.catalog))))
    marked = {"catalog": preparing.mark_catalog(inputs.catalog, languages).persist()}
    run.replace_table("prepare", TEXTS, preparing.texts_of(marked["catalog"]))
    run.replace_table("prepare", ITEMS, preparing.items_of(marked["catalog"], run.run_date))
    items = lake.read_table(ITEMS)
    if inputs.users is not None:
        marked["users"] = preparing.mark_users(inputs.users).persist()
    out = preparing.opted_out_of(marked["users"]) if "users" in marked else inputs.interactions.limit(0)
    events = preparing.mark_interactions(inputs.interactions, items, out, config, run.run_date).persist()
    marked["interactions"] = events
    run.replace_table("prepare", EVENTS, preparing.events_of(events, config))
    run.replace_table("prepare", USERS, users_of(inputs, lake.read_table(EVENTS), items))
    layout = {"catalog": CATALOG.names, "interactions": INTERACTIONS.names, "users": USERS_INPUT.names}
    rejects = preparing.rejects_of(marked, layout, run.run_id, run.run_date)
    lake.replace_rows(REJECTS, rejects, {"run_date": run.run_date, "run_id": run.run_id})
    counts = {(row["input"], row["rule"]): row["n"] for row in bounded_rows(preparing.counts_by_rule(marked))}
    for frame in marked.values():
        frame.unpersist()
    return counts


def users_of(inputs: Inputs, events: DataFrame, items: DataFrame) -> DataFrame:
    """Table users, from the users input and these events."""
    if inputs.users is None:
        return preparing.users_of(preparing.no_users(events), events, items)
    return preparing.users_of(preparing.valid_rows(preparing.mark_users(inputs.users)), events, items)
