"""Evaluation: the night's own stages on the history, every system scored against the same holdout."""

import dataclasses
from datetime import UTC, date, datetime
from functools import reduce

from pyspark.sql import DataFrame, SparkSession

from xlrec.config.models import Config
from xlrec.index.files import PAIRS
from xlrec.index.writer import write_index
from xlrec.lake.delta import Lake
from xlrec.lake.records import RunLog
from xlrec.pipeline.embed import embed
from xlrec.pipeline.listing import ranked_lists
from xlrec.pipeline.prepare import Inputs, dated_inputs, prepare, users_of
from xlrec.pipeline.rows import one_row
from xlrec.pipeline.run import INDEXES, Run, open_lake, running_on
from xlrec.pipeline.train import learn_models
from xlrec.pipeline.translation import translate
from xlrec.recommenders import als, baselines
from xlrec.runtime.files import Files
from xlrec.runtime.hadoop import FileSystem
from xlrec.runtime.progress import Progress
from xlrec.stages import evaluate as scoring
from xlrec.stages import prepare as preparing
from xlrec.stages import split as splitting
from xlrec.stages.train import train_counts
from xlrec.tables import EVENTS, HOLDOUT, ITEMS, METRICS, POPULARITY, RECOMMENDATIONS, USERS

#: Folder for ALS's checkpoints, while it learns.
_CHECKPOINTS = "_checkpoints"


def evaluate(spark: SparkSession, config: Config, *, config_file: str | None = None) -> None:
    """Writes the table metrics and the report after it prepared, embedded and scored all systems; releases nothing."""
    from xlrec.pipeline.reports import Results, finish_report

    progress, lake = Progress(spark), open_lake(spark, config)
    inputs, run_date = dated_inputs(lake, config)
    with running_on(lake, config, progress, run_date) as run:
        market_logs = prepare(run, inputs)
        translate(run)
        embed(run)
        score_systems(run, inputs)
    progress.print_summary()
    finish_report(run, Results(market_logs), config_file)


def score_systems(run: Run, inputs: Inputs) -> None:
    """Splits the prepared events and scores xlrec, its single sources and the baselines on the same users."""
    apart = _split_apart(run, inputs)
    lake, config, systems = apart.lake, run.config.evaluate, baselines.compared_systems(run.config)
    FileSystem(run.spark, f"{lake.root}/{INDEXES}").delete()  # of older evaluations
    context = run.spark.sparkContext
    if f"/{_CHECKPOINTS}/" in (context.getCheckpointDir() or f"/{_CHECKPOINTS}/"):  # the user's own stays
        context.setCheckpointDir(f"{lake.root}/{_CHECKPOINTS}")
    for system in systems.values():
        _lists(apart, system)
    FileSystem(run.spark, f"{lake.root}/{_CHECKPOINTS}").delete()
    with run.stage("evaluate") as progress:
        items, history = lake.read_table(ITEMS), lake.read_table(EVENTS)
        truth = scoring.ground_truth(lake.read_table(HOLDOUT), history, lake.read_table(USERS), items, config).persist()
        reach = scoring.item_reach(items, history).persist()
        recommended = lake.read_table(RECOMMENDATIONS)
        lists = {name: recommended.where(recommended["run_id"] == name) for name in systems}
        own = _index(apart, "own").share_with_workers(run.spark)
        users = [
            scoring.user_metrics(rows, truth, reach, config, index=own, system=name) for name, rows in lists.items()
        ]
        shares = [scoring.catalogue_coverage(rows, items, config, system=name) for name, rows in lists.items()]
        metrics = scoring.summarise_metrics(
            reduce(DataFrame.unionByName, users), reduce(DataFrame.unionByName, shares),
            split=splitting.describe_split(config), evaluated_at=datetime.now(UTC),
            seed=run.config.seed, n_bootstrap=config.bootstrap,
        )  # fmt: skip
        rows = run.lake.append_rows(METRICS, metrics)
        run.counts["evaluate.metrics"] = rows
        run.counts["evaluate.users"] = truth.count()
        truth.unpersist()
        reach.unpersist()
        progress.record_result(rows_in=run.counts["evaluate.users"], rows_out=rows)


def _split_apart(run: Run, inputs: Inputs) -> Run:
    """A run whose tables lie apart, with the history as its events, the only source of its users and availability."""
    lake, config = Lake(run.spark, f"{run.lake.root}/_evaluation"), run.config
    with run.stage("split") as progress:
        history = run.lake.read_table(EVENTS)
        for _ in range(2 if config.evaluate.inner else 1):
            history, holdout = splitting.split_events(
                history, config.evaluate, exclude_seen=config.retrieve.exclude_seen
            )
        n_history = lake.replace_rows(EVENTS, history)
        n_holdout = lake.replace_rows(HOLDOUT, holdout)
        day: date = run.run_date
        if config.evaluate.split == "time":
            day = one_row(splitting.evaluation_date(lake.read_table(EVENTS)))["run_date"] or day
        lake.replace_rows(ITEMS, preparing.with_availability(run.lake.read_table(ITEMS), day))
        lake.replace_rows(USERS, users_of(inputs, lake.read_table(EVENTS), lake.read_table(ITEMS)))
        progress.record_result(rows_in=n_history + n_holdout, rows_out=n_holdout)
    return dataclasses.replace(run, lake=lake, run_date=day, log=RunLog(), texts_lake=run.lake)


def _lists(apart: Run, system: baselines.System) -> None:
    """Writes the system's lists under its name as run_id."""
    lake, day = apart.lake, apart.run_date
    with apart.stage(f"evaluate {system.name}") as progress:
        events, users, items = lake.read_table(EVENTS), lake.read_table(USERS), lake.read_table(ITEMS)
        queries = None
        index = _index(apart, system.model)
        if system.model == "own":
            if system.name == "xlrec":
                own = dataclasses.replace(apart, config=system.config, run_id="own", log=RunLog())
                learn_models(own, index)  # the night's models from the history alone
        elif system.model == "itemknn":
            events, pairs = baselines.binary_events(events), index.subfolder(PAIRS)
            neighbours, _ = train_counts(events, items, system.config.train, day, pairs)
            write_index(index, items, None, neighbours, lake.read_table(POPULARITY), dim=1)
            pairs.delete_everywhere(apart.spark)
        else:
            als_config = system.config.evaluate.als
            vectors, queries = als.fit_als(events, als_config, seed=system.config.seed)
            write_index(index, items, vectors, None, lake.read_table(POPULARITY), dim=als_config.rank)
        index.keep_in_lake_once(apart.spark)  # that of our own model serves several systems
        place = index.share_with_workers(apart.spark)
        lists = ranked_lists(
            users, events, system.config, index=place, run_id=system.name, run_date=day, queries=queries
        )
        rows = lake.replace_rows(RECOMMENDATIONS, lists, {"run_date": day, "run_id": system.name})
        progress.record_result(rows_out=rows)


def _index(apart: Run, model: str) -> Files:
    return apart.lake.folder_of_files(f"{INDEXES}/{apart.run_id}-{model}")
