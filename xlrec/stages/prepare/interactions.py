"""Interactions into events: known items, possible times, no repeats, no bots."""

from datetime import date
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config.models import PrepareConfig
from xlrec.lake.inputs import BAD
from xlrec.stages.prepare.languages import market_code
from xlrec.stages.prepare.ratings import is_rated, least_positive
from xlrec.stages.prepare.rules import OPTED_OUT, bad_cast, broken_rule, is_blank, mark_more, mark_rows, valid_rows
from xlrec.tables import UNKNOWN_MARKET

#: Events before this day are impossible.
_FIRST_DAY: Final = date(1990, 1, 1)


def mark_interactions(
    interactions: DataFrame, items: DataFrame, opted_out: DataFrame, config: PrepareConfig, run_date: date
) -> DataFrame:
    """The interactions with item_num and the rule each row broke: opt-out before any other rule.

    Events at or after 00:00 UTC of the run's date are impossible.
    """
    out = opted_out.select(F.col("user_id").alias("_out")).distinct()
    event = F.trim("event")
    event = F.when(event != "", event).otherwise(F.lit("unknown"))
    rows = interactions.withColumn("_event", event)  # event stays as it came: rejects show it
    rows = rows.join(items.select("item_id", "item_num"), "item_id", "left")
    rows = rows.join(out, rows["user_id"] == out["_out"], "left")
    first, end = F.lit(_FIRST_DAY).cast("timestamp"), F.lit(run_date).cast("timestamp")
    time = F.col("timestamp")
    wrong = ("timestamp ", time, " is not from ", first, " until before ", end)
    marked = mark_rows(
        rows,
        [
            broken_rule(OPTED_OUT, F.col("_out").isNotNull(), ""),
            bad_cast(F.col(BAD)),
            broken_rule("missing_user_id", is_blank("user_id"), "user_id is null or blank"),
            broken_rule("missing_item_id", is_blank("item_id"), "item_id is null or blank"),
            broken_rule("missing_timestamp", time.isNull(), "timestamp is null"),
            broken_rule("impossible_timestamp", (time < first) | (time >= end), *wrong),
            broken_rule("unknown_item", F.col("item_num").isNull(), "the catalog has no valid row of this item"),
        ],
    ).drop("_out", BAD)
    # One shuffle, and one sort by user, day and all else, serve every window below.
    day = {"_day": F.to_date("timestamp"), "_fine": F.col("_broken").isNull()}
    marked = marked.withColumns(day).repartition("user_id")
    best = (F.col("market").asc_nulls_last(), F.col("value").desc_nulls_last())
    same = Window.partitionBy("user_id", "_day", "item_id", "_event", "timestamp", "_fine").orderBy(*best, "event")
    repeated = F.row_number().over(same) > 1
    marked = mark_more(marked, broken_rule("duplicate", repeated, "same user, item, event and timestamp"))
    if config.max_events_per_user_day is not None:
        marked = _mark_bots(marked, config.max_events_per_user_day)
    return marked.drop("_day", "_fine")


def _mark_bots(marked: DataFrame, limit: int) -> DataFrame:
    per_day, per_user = Window.partitionBy("user_id", "_day"), Window.partitionBy("user_id")
    n_day = F.count_if(F.col("_broken").isNull() & F.col("user_id").isNotNull()).over(per_day)
    counted = marked.withColumn("_n_day", n_day).withColumn("_busiest", F.max("_n_day").over(per_user))
    reason = ("the user has ", F.col("_busiest"), " events on one day, allowed are ", F.lit(limit))
    return mark_more(counted, broken_rule("bot", F.col("_busiest") > limit, *reason)).drop("_n_day", "_busiest")


def events_of(marked: DataFrame, config: PrepareConfig) -> DataFrame:
    """Table events from the marked interactions' valid rows.

    Where `rating_scale` depends on the markets' ratings, a row per market and rating event is joined.
    """
    market = F.coalesce(market_code(F.col("market")), F.lit(UNKNOWN_MARKET)).alias("market")
    event = F.col("_event").alias("event")
    rows = valid_rows(marked).select("user_id", "item_id", "item_num", "timestamp", event, "value", market)
    if config.rating_scale == "threshold":
        bounded = rows.withColumn("least_positive", F.lit(config.positive_rating))
    else:
        bounds = F.broadcast(least_positive(rows.select("market", "event", "value"), config))
        bounded = rows.join(bounds, ["market", "event"], "left")
    return bounded.select(*rows.columns, _weight(config).alias("weight"))


def _weight(config: PrepareConfig) -> Column:
    weight: Column = F.lit(config.default_event_weight)
    for event, strength in sorted(config.event_weights.items()):
        weight = F.when(F.col("event") == event, F.lit(strength)).otherwise(weight)
    no_value = F.col("event").isin(*config.rating_events) & ~is_rated(config)
    weight = F.when(no_value, F.lit(config.default_event_weight)).otherwise(weight)
    return F.when(is_rated(config) & (F.col("value") < F.col("least_positive")), F.lit(0.0)).otherwise(weight)
