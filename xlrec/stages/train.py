"""Train: models counted from interactions, and the logs from which the recommender learns."""

from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from xlrec.config.models import TrainConfig
from xlrec.recommenders import covisitation, popularity
from xlrec.runtime.files import Files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def train_counts(
    events: "DataFrame", items: "DataFrame", config: TrainConfig, run_date: date, files: Files
) -> "tuple[DataFrame, DataFrame]":
    """`NEIGHBOURS` and `POPULARITY`; ages are counted back from `run_date`.

    Pairs of items are counted in `files`: needed until the rows have been read; then drop it.
    """
    return (
        covisitation.fit_neighbours(events, items, config.covisitation, files),
        popularity.fit_popularity(events, items, config.popularity, run_date),
    )


def logs_by_user(users: "DataFrame", events: "DataFrame") -> "DataFrame":
    """One row per user of `USERS` with positive events, as `training.recommender.logs` has it; user_ids are hashed."""
    event = F.struct(F.unix_micros("timestamp").alias("micros"), "item_num", "weight", "market")
    logs = events.where("weight > 0").groupBy("user_id").agg(F.sort_array(F.collect_list(event)).alias("log"))
    known = users.select("user_id", "market", "languages", "language_weights")
    return logs.join(known, "user_id").select(
        F.xxhash64("user_id").alias("user_key"), "market", "languages", "language_weights", "log"
    )


def first_moments(items: "DataFrame", events: "DataFrame") -> "DataFrame":
    """item_num, first_micros double: first availability or event of each item, epoch microseconds; null: unknown."""
    first_events = events.groupBy("item_num").agg(F.min("timestamp").alias("first_event"))
    first = F.least("available_from", "first_event")  # of those that are not null
    joined = items.select("item_num", "available_from").join(first_events, "item_num", "left")
    return joined.select("item_num", F.unix_micros(first).cast("double").alias("first_micros"))
