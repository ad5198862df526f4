"""What each kind of event is worth, from the lake's events and its newest index; nothing in the lake changes."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from xlrec.config import Config, PrepareConfig
from xlrec.errors import ConfigError, LakeError
from xlrec.index import ItemIndex
from xlrec.lake import Lake
from xlrec.pipeline import learning, steps
from xlrec.pipeline.run import index_folder
from xlrec.releases import Ledger
from xlrec.reporting.event_weights import WeightsData, print_weights
from xlrec.stages.prepare.ratings import rated
from xlrec.stages.train import first_moments, user_logs
from xlrec.tables import EVENTS, ITEMS, USERS

if TYPE_CHECKING:
    from xlrec.training.recommender.event_weights import Kinds
    from xlrec.training.recommender.loop import Task


def event_weights(spark: SparkSession, config: Config, n_users: int, config_file: str | None = None) -> WeightsData:
    """Searches the weights on the inner split of some users' logs, and prints what was found.

    Args:
        spark: The session.
        config: That the lake was prepared with.
        n_users: Users whose logs are learnt from, at most; drawn by hash of (seed, user_id).
        config_file: Named in what is printed.

    Raises:
        ConfigError: there is no learnt recommender to ask.
        LakeError: nothing was trained yet, or the lake was prepared since, or with other weights.
        InputError: one kind of event alone, or too few users in the inner split.
    """
    from xlrec.training.recommender.event_weights import learn_weights

    if not config.train.hybrid.enabled:
        raise ConfigError(
            "train.hybrid.enabled is false: what events are worth is asked of what is learnt; leave it out"
        )
    lake = Lake(spark, config.lake)
    index = ItemIndex.open(_index(lake, config))
    events = kinds_of(lake.read(EVENTS).where("weight > 0"), config.prepare)
    weights = weights_of(events, config)
    say = learning.teller("weights")
    with learning.one_thread():
        task, kinds = _task(lake, config, index, some_users(events, n_users, config.seed))
        say(f"{task.logs.n_users:,} users · {len(task.logs.event_nums):,} events · {len(task.items.texts):,} items")
        found = learn_weights(task, kinds, index.item_ids, say)
    data = WeightsData(kinds, weights, config.prepare.event_weights, found, config_file or "CONFIG")
    print_weights(data)
    return data


def kinds_of(events: DataFrame, config: PrepareConfig) -> DataFrame:
    """The events with null as kind where `event_weights` does not set the weight: ratings without a value."""
    unset = F.col("event").isin(*config.rating_events) & ~rated(config)
    return events.withColumn("event", F.when(~unset, F.col("event")))


def weights_of(events: DataFrame, config: Config) -> dict[str, float]:
    """The configured weight of each kind that has events of weight above 0.

    Raises:
        LakeError: the lake's events weigh otherwise.
    """
    weighed = events.where(F.col("event").isNotNull()).groupBy("event").agg(F.min("weight"), F.max("weight"))
    found = {}
    for kind, low, high in sorted(map(tuple, steps.bounded(weighed, config))):
        wanted = config.prepare.event_weights.get(kind, config.prepare.default_event_weight)
        if not low == high == wanted:
            raise LakeError(
                f"{kind} weighs {low:g} in the lake, {wanted:g} in the config: "
                "run `xlrec prepare` and `xlrec train` with this config first"
            )
        found[kind] = float(wanted)
    return found


def some_users(events: DataFrame, n_users: int, seed: int) -> DataFrame:
    """user_id of at most that many users, the first by hash of (seed, user_id)."""
    users = events.select("user_id").distinct()
    return users.orderBy(F.xxhash64(F.lit(seed), "user_id"), "user_id").limit(n_users)


def _index(lake: Lake, config: Config) -> str:
    """Folder of the newest trained run's index, whose rows are those of the lake's events."""
    ledger = Ledger(lake, config.publish.lease_minutes)
    trained, prepared = ledger.newest("index.items"), ledger.newest("prepare.items")
    if trained is None:
        raise LakeError(f"{lake.root} has nothing from train: run `xlrec run` or `xlrec train` first")
    if prepared is not None and prepared["started_at"] > trained["started_at"]:
        runs = f"prepared by {prepared['run_id']} after {trained['run_id']} trained"
        raise LakeError(f"{lake.root} was {runs}: run `xlrec train` first")
    return index_folder(lake, str(trained["run_id"]))


def _task(lake: Lake, config: Config, index: ItemIndex, chosen: DataFrame) -> "tuple[Task, Kinds]":
    """What the search learns from; the shards of the logs lie in the lake's folder meanwhile."""
    from xlrec.training.recommender.event_weights import read_kinds
    from xlrec.training.recommender.logs import items_of
    from xlrec.training.recommender.loop import Task

    events = lake.read(EVENTS)
    ages = learning.ages_of(first_moments(lake.read(ITEMS), events), index.n_items)
    folder = tempfile.mkdtemp(prefix="_event_weights-", dir=lake.folder)
    try:
        shards = str(Path(folder) / "logs")
        some = kinds_of(events, config.prepare).join(chosen, "user_id", "left_semi")
        user_logs(lake.read(USERS), some, kinds=True).write.parquet(f"file://{shards}")
        logs, kinds = read_kinds(shards, index)
    finally:
        shutil.rmtree(folder)
    return Task(logs, items_of(index, ages), config.train.hybrid, config.train.popularity, config.seed), kinds
