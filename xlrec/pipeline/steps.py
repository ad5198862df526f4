"""The steps of a night: each reads tables, calls one stage and replaces tables."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.errors import AuditError, InputError
from xlrec.index.files import PAIRS
from xlrec.index.items import ItemIndex
from xlrec.index.writer import write_index
from xlrec.lake.delta import Lake
from xlrec.lake.inputs import read_input
from xlrec.pipeline import approximation, learning, neutral_vectors, quality, translation
from xlrec.pipeline.listing import listed
from xlrec.pipeline.run import Run
from xlrec.runtime.files import Files
from xlrec.runtime.tasks import shuffle_tasks, told_by_tasks
from xlrec.stages import audit as auditing
from xlrec.stages import embed as embedding
from xlrec.stages import prepare as preparing
from xlrec.stages.train import train as training
from xlrec.tables import (
    CATALOG,
    EMBEDDINGS,
    EVENTS,
    INTERACTIONS,
    ITEMS,
    NEIGHBOURS,
    POPULARITY,
    RECOMMENDATIONS,
    REJECTS,
    TEXTS,
    USERS,
    USERS_INPUT,
)
from xlrec.translators.shipping import encoder_for_workers


@dataclass(frozen=True)
class Inputs:
    """The inputs in the layout's columns and types."""

    catalog: DataFrame
    interactions: DataFrame
    users: DataFrame | None


def dated_inputs(spark: SparkSession, config: Config) -> tuple[Inputs, date]:
    """The inputs, read with explicit schemas over pinned files, and the run's logical date.

    Raises:
        InputError: an input is missing or of another schema, or no interaction tells the date.
        LakeError: the lake cannot be reached, which is told before the log is read.
    """
    Lake(spark, config.lake).check_seen()
    where, names = config.inputs, config.columns
    inputs = Inputs(
        read_input(spark, where.catalog, CATALOG, names.catalog, "catalog"),
        read_input(spark, where.interactions, INTERACTIONS, names.interactions, "interactions"),
        read_input(spark, where.users, USERS_INPUT, names.users, "users") if where.users else None,
    )
    if config.run_date is not None:
        return inputs, config.run_date
    rows = bounded(preparing.days_of(inputs.interactions), config)
    days = {row["day"]: row["n"] for row in rows}
    return inputs, preparing.default_run_date(days, config.prepare.max_gap_days)


def bounded(frame: DataFrame, config: Config) -> list[Row]:
    """The rows on the driver.

    Raises:
        InputError: more than `limits.driver_rows`.
    """
    rows = frame.take(config.limits.driver_rows + 1)
    if len(rows) > config.limits.driver_rows:
        raise InputError(f"{', '.join(frame.columns)}: more than limits.driver_rows = {config.limits.driver_rows} rows")
    return rows


def prepared(lake: Lake) -> bool:
    """Whether the lake holds what `prepare` makes."""
    return all(lake.exists(table) for table in (TEXTS, ITEMS, EVENTS, USERS))


def prepare(run: Run, inputs: Inputs) -> None:
    """Texts, items, events and users from the inputs; bad rows into rejects; every row is counted.

    Raises:
        InputError: too many rows of an input are bad.
    """
    config, lake = run.config.prepare, run.lake
    with run.stage("prepare") as shown:
        languages = tuple(sorted(row[0] for row in bounded(preparing.stated_languages(inputs.catalog), run.config)))
        marked = {"catalog": preparing.mark_catalog(inputs.catalog, config, languages).persist()}
        run.replace("prepare", TEXTS, preparing.texts_of(marked["catalog"]))
        run.replace("prepare", ITEMS, preparing.items_of(marked["catalog"], run.run_date))
        items = lake.read(ITEMS)
        if inputs.users is not None:
            marked["users"] = preparing.mark_users(inputs.users).persist()
        out = preparing.opted_out_of(marked["users"]) if "users" in marked else inputs.interactions.limit(0)
        events = preparing.mark_interactions(inputs.interactions, items, out, config, run.run_date).persist()
        marked["interactions"] = events
        run.replace("prepare", EVENTS, preparing.events_of(events, config))
        run.replace("prepare", USERS, users_of(inputs, lake.read(EVENTS), items))
        layout = {"catalog": CATALOG.names, "interactions": INTERACTIONS.names, "users": USERS_INPUT.names}
        rejects = preparing.rejects_of(marked, layout, run.run_id, run.run_date)
        lake.replace(REJECTS, rejects, {"run_date": run.run_date, "run_id": run.run_id})
        counts = {
            (row["input"], row["rule"]): row["n"] for row in bounded(preparing.counts_by_rule(marked), run.config)
        }
        for frame in marked.values():
            frame.unpersist()
        for (name, rule), n in counts.items():
            run.counts[f"prepare.{name}.{rule or 'valid'}"] = n
        preparing.check_rejected(counts, config.max_rejected_share)
        n_rejected = sum(n for (_, rule), n in counts.items() if rule not in ("", preparing.OPTED_OUT))
        n_out = sum(n for (_, rule), n in counts.items() if rule == preparing.OPTED_OUT)
        notes = (f"{n_out} rows of users who opted out" if n_out else "", quality.check_markets(run))
        shown.done(
            rows_in=sum(counts.values()),
            rows_out=sum(counts.values()) - n_rejected - n_out,
            rejected=n_rejected,
            note=" · ".join(filter(None, notes)),
        )


def users_of(inputs: Inputs, events: DataFrame, items: DataFrame) -> DataFrame:
    """Table users from what the users input states and these events tell."""
    if inputs.users is None:
        return preparing.users_of(preparing.no_users(events), events, items)
    return preparing.users_of(preparing.valid(preparing.mark_users(inputs.users)), events, items)


def embed(run: Run) -> None:
    """Embeds the texts whose content the cache does not hold yet for this encoder."""
    config, lake = run.config.embed, run.lake
    lake.create(EMBEDDINGS)
    fingerprint = encoders.fingerprint(config)
    texts = translation.unified_texts(run)
    new = embedding.new_texts(texts, lake.read(EMBEDDINGS), fingerprint).persist()  # counted, then embedded
    n_new = new.count()
    with run.stage("embed", total=n_new, unit="texts") as shown:
        if n_new:
            sent = encoder_for_workers(lake, config)
            lake.append(EMBEDDINGS, embedding.embed(new, sent, fingerprint, n_texts=n_new))
        new.unpersist()
        run.counts["embed.texts"] = n_new
        neutral_vectors.fit(run, texts, fingerprint)
        note = quality.check_texts(run)
        shown.done(rows_in=run.counts.get("prepare.texts"), rows_out=n_new, note=note)


def train(run: Run) -> None:
    """Learns neighbours, popularity and factors, and lays the item index that workers map into memory."""
    with run.stage("train") as shown:
        n_rows = learn(run, run.index)
        model = f"model {run.model}, {run.counts['train.model_visits']:,} visits" if run.model else ""
        note = " · ".join(filter(None, (model, approximation.told(run.counts, run.config))))
        shown.done(rows_in=run.counts.get("prepare.events"), rows_out=n_rows, note=note)


def learn(run: Run, index: Files) -> int:
    """`train` without its progress: rows learnt; the index lies in that folder, kept."""
    lake, config = run.lake, run.config
    items, pairs = lake.read(ITEMS), index.below(PAIRS)
    neighbours, popularity = training(lake.read(EVENTS), items, config.train, run.run_date, pairs)
    n_rows = run.replace("train", NEIGHBOURS, neighbours) + run.replace("train", POPULARITY, popularity)
    pairs.drop(run.spark)
    dim = encoders.load(config.embed).dim
    tables, n_neighbours = (lake.read(NEIGHBOURS), lake.read(POPULARITY)), config.train.covisitation.neighbours
    write_index(index, items, item_vectors(run), *tables, dim=dim, n_neighbours=n_neighbours)
    run.counts["index.items"] = ItemIndex.open(index.folder).n_items
    run.model = learning.learn(run, index, learning.teller("train"))
    approximation.lay(run, index.folder)
    index.leave(learning.LOGS)
    index.keep(run.spark)
    return n_rows


def item_vectors(run: Run) -> DataFrame:
    """item_num and vector of the run's items: of the texts that `unify` says, without what only tells the language."""
    fingerprint = encoders.fingerprint(run.config.embed)
    neutral, embeddings = neutral_vectors.fitted(run, fingerprint), run.texts.read(EMBEDDINGS)
    return embedding.item_vectors(
        run.lake.read(ITEMS), translation.unified_texts(run), embeddings, fingerprint, neutral
    )


def recommend(run: Run, index: Files | None = None) -> None:
    """Finds every user's candidates, ranks them and writes the run's rows; no reader sees them yet."""
    lake, index = run.lake, index or run.index
    index.fetch(run.spark)
    approximation.check(index.folder, run.config)
    users = lake.read(USERS)
    n_users = run.counts.get("prepare.users") or users.count()
    with run.stage("recommend", total=n_users, unit="users") as shown:
        told, n_tasks = told_by_tasks(run.spark), shuffle_tasks(run.spark)
        shown.follow(lambda: len({part for part, _ in told.value}) / n_tasks if n_tasks else 0.0)  # of as many users
        lists = listed(
            users, lake.read(EVENTS), run.config, index=index.offer(run.spark), run_id=run.run_id,
            run_date=run.run_date, first_passes=told,
        )  # fmt: skip
        rows = run.replace("recommend", RECOMMENDATIONS, lists)
        run.counts["recommend.users"] = n_users
        run.search = ", ".join(sorted({path for _, path in told.value if path}))
        shown.done(rows_in=n_users, rows_out=rows)


def publish(run: Run, source: str | None = None) -> list[auditing.Verdict]:
    """Audits the lists of the run (or of an older one that only recommended) and releases them in one commit.

    Raises:
        AuditError: a bar is missed; the live release stays.
    """
    lake, ledger, source = run.lake, run.ledger, source or run.run_id
    with run.stage("publish") as shown:
        new, live = ledger.rows_of(source, run.run_date), ledger.live()
        old = ledger.rows_of(live.run_id, live.run_date) if live else None
        measured = one_row(auditing.measure(new, old, lake.read(USERS), run.config.k))
        for name in ("rows", "users_with_list", "short_lists"):
            run.counts[f"audit.{name}"] = int(measured[name])
        if live is not None:
            run.replaced, run.counts["audit.live_rows"] = live, int(measured["live_rows"])
        verdicts = auditing.verdicts(measured, run.config.audit)
        failed = [str(verdict) for verdict in verdicts if not verdict.passed]
        if failed:
            raise AuditError(f"run {source} is not released, readers keep the last one: {'; '.join(failed)}")
        run.content_hash = one_row(auditing.content_hash(new))["content_hash"]
        run.ledger.check_held(run.run_id)  # a run that lost the lake meanwhile releases nothing
        ledger.release(source, run.run_date)
        run.status = "published"
        shown.done(rows_in=int(measured["rows"]), rows_out=int(measured["rows"]))
    return verdicts


def one_row(frame: DataFrame) -> dict[str, Any]:
    """The only row of an aggregate."""
    row = frame.first()
    return row.asDict() if row is not None else {}
