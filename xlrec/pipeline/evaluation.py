"""Evaluation: the night's own stages on the history, every system scored against the same holdout."""

from datetime import UTC, date, datetime

from pyspark.sql import DataFrame, SparkSession

from xlrec.config.models import Config
from xlrec.index.files import PAIRS
from xlrec.index.writer import write_index
from xlrec.lake.delta import Lake
from xlrec.pipeline import steps, translation
from xlrec.pipeline.listing import listed
from xlrec.pipeline.run import INDEXES, Run, running
from xlrec.recommenders import als, baselines
from xlrec.runtime.files import Files
from xlrec.runtime.hadoop import FileSystem
from xlrec.runtime.progress import Progress
from xlrec.stages import evaluate as scoring
from xlrec.stages import prepare as preparing
from xlrec.stages import split as splitting
from xlrec.stages.train import train
from xlrec.tables import EVENTS, HOLDOUT, ITEMS, METRICS, POPULARITY, RECOMMENDATIONS, USERS

#: Folder for ALS's checkpoints, while it learns.
_CHECKPOINTS = "_checkpoints"


def evaluate(spark: SparkSession, config: Config, *, config_file: str | None = None) -> None:
    """Prepares, embeds, scores all systems and writes the table metrics and the report; releases nothing."""
    from xlrec.pipeline.reports import finish

    progress = Progress(spark)
    inputs, run_date = steps.dated_inputs(spark, config)
    with running(spark, config, progress, run_date) as run:
        steps.prepare(run, inputs)
        translation.translate(run)
        steps.embed(run)
        score(run, inputs)
    progress.print_summary()
    finish(run, [], config_file)


def score(run: Run, inputs: steps.Inputs) -> None:
    """Splits the prepared events and scores xlrec, its single sources and the baselines on the same users."""
    apart = _split_apart(run, inputs)
    lake, config, systems = apart.lake, run.config.evaluate, baselines.systems(run.config)
    FileSystem(run.spark, f"{lake.root}/{INDEXES}").delete()  # of older evaluations
    context = run.spark.sparkContext
    if f"/{_CHECKPOINTS}/" in (context.getCheckpointDir() or f"/{_CHECKPOINTS}/"):  # the user's own stays
        context.setCheckpointDir(f"{lake.root}/{_CHECKPOINTS}")
    for system in systems.values():
        _lists(apart, system)
    FileSystem(run.spark, f"{lake.root}/{_CHECKPOINTS}").delete()
    with run.stage("evaluate") as shown:
        items, history = lake.read(ITEMS), lake.read(EVENTS)
        truth = scoring.ground_truth(lake.read(HOLDOUT), history, lake.read(USERS), items, config).persist()
        reach = scoring.item_reach(items, history).persist()
        lists = {name: _lists_of(lake, name) for name in systems}
        own = _index(apart, "own").offer(run.spark)
        users = [scoring.per_user(rows, truth, reach, config, index=own, system=name) for name, rows in lists.items()]
        shares = [scoring.coverage(rows, items, config, system=name) for name, rows in lists.items()]
        metrics = scoring.summarise(
            _union(users), _union(shares), split=splitting.describe(config), evaluated_at=datetime.now(UTC),
            seed=run.config.seed, n_bootstrap=config.bootstrap,
        )  # fmt: skip
        rows = run.lake.append(METRICS, metrics)
        run.counts["evaluate.metrics"] = rows
        run.counts["evaluate.users"] = truth.count()
        truth.unpersist()
        reach.unpersist()
        shown.done(rows_in=run.counts["evaluate.users"], rows_out=rows)


def _split_apart(run: Run, inputs: steps.Inputs) -> Run:
    """A run whose tables lie apart, with the history as its events; users and availability are told by it alone."""
    lake, config = Lake(run.spark, f"{run.lake.root}/_evaluation"), run.config
    with run.stage("split") as shown:
        events = run.lake.read(EVENTS)
        exclude_seen = config.retrieve.exclude_seen
        history, holdout = splitting.split(events, config.evaluate, exclude_seen=exclude_seen)
        if config.evaluate.inner:
            history, holdout = splitting.split(history, config.evaluate, exclude_seen=exclude_seen)
        n_history = lake.replace(EVENTS, history)
        n_holdout = lake.replace(HOLDOUT, holdout)
        day: date = run.run_date
        if config.evaluate.split == "time":
            day = steps.one_row(splitting.evaluation_date(lake.read(EVENTS)))["run_date"] or day
        lake.replace(ITEMS, preparing.with_availability(run.lake.read(ITEMS), day))
        lake.replace(USERS, steps.users_of(inputs, lake.read(EVENTS), lake.read(ITEMS)))
        shown.done(rows_in=n_history + n_holdout, rows_out=n_holdout)
    return Run(lake, run.ledger, config, run.progress, run.run_id, day, cache=run.lake)


def _lists(apart: Run, system: baselines.System) -> None:
    """Writes the system's lists under its name as run_id."""
    lake, day = apart.lake, apart.run_date
    with apart.stage(f"evaluate {system.name}") as shown:
        events, users, queries = lake.read(EVENTS), lake.read(USERS), None
        index = _index(apart, system.model)
        if system.model == "own":
            if system.name == "xlrec":
                _learn_own(apart, system.config)
        elif system.model == "itemknn":
            events = baselines.binary(events)
            _learn_neighbours(apart, system, events, index)
        else:
            vectors, queries = als.fit(events, system.config.evaluate.als, seed=system.config.seed)
            _write(apart, index, vectors, None, system.config.evaluate.als.rank)
        index.keep_once(apart.spark)  # that of our own model serves several systems
        place = index.offer(apart.spark)
        lists = listed(users, events, system.config, index=place, run_id=system.name, run_date=day, queries=queries)
        rows = lake.replace(RECOMMENDATIONS, lists, {"run_date": day, "run_id": system.name})
        shown.done(rows_out=rows)


def _learn_own(apart: Run, config: Config) -> None:
    """Learns what a night learns, from the history alone."""
    own = Run(apart.lake, apart.ledger, config, apart.progress, "own", apart.run_date, cache=apart.cache)
    steps.learn(own, _index(apart, "own"))


def _learn_neighbours(apart: Run, system: baselines.System, events: DataFrame, index: Files) -> None:
    pairs = index.below(PAIRS)
    neighbours, _ = train(events, apart.lake.read(ITEMS), system.config.train, apart.run_date, pairs)
    _write(apart, index, None, neighbours, 1)
    pairs.drop(apart.spark)


def _write(apart: Run, index: Files, vectors: DataFrame | None, neighbours: DataFrame | None, dim: int) -> None:
    lake = apart.lake
    write_index(index, lake.read(ITEMS), vectors, neighbours, lake.read(POPULARITY), dim=dim)


def _index(apart: Run, model: str) -> Files:
    return apart.lake.files(f"{INDEXES}/{apart.run_id}-{model}")


def _lists_of(lake: Lake, system: str) -> DataFrame:
    rows = lake.read(RECOMMENDATIONS)
    return rows.where(rows["run_id"] == system)


def _union(frames: list[DataFrame]) -> DataFrame:
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.unionByName(frame)
    return whole
