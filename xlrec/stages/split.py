"""Split: history, from which lists are made, and holdout, against which they are scored. No look into the future."""

from typing import Final

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config.models import EvaluateConfig

#: The cut is searched among spans of 2^31 microseconds (36 minutes), then among the moments of one span: neither step
#: sorts many values, however many events there are.
_SPAN_BITS: Final = 31


def split_events(
    events: DataFrame, config: EvaluateConfig, *, exclude_seen: bool = True
) -> tuple[DataFrame, DataFrame]:
    """(history, holdout), both in the schema of events.

    `time`: everything before the cut (`time_cut`) is history, what happens at or after it the holdout. All events of
    one moment lie on the same side, so where timestamps are whole days, whole days are held out.

    `last`: each user's newest `holdout_last` positives (ties: item_num asc) are the holdout, and the events before the
    first of them are the user's history; what happens at the same moment or later and is not held out is dropped.
    Users without a positive in that history are not held out and keep all their events.

    The holdout has one row per user and item (the first event), positives (weight > 0) only. `exclude_seen` leaves
    out items that the user has in history, with any weight: where lists never hold seen items, nobody can hit them.
    """
    history, later = _by_time(events, config) if config.split == "time" else _by_user(events, config)
    holdout = _first_of_each(later.where("weight > 0"))
    if exclude_seen:
        holdout = holdout.join(history.select("user_id", "item_num").distinct(), ["user_id", "item_num"], "left_anti")
    return history.select(*events.columns), holdout.select(*events.columns)


def time_cut(events: DataFrame, holdout_share: float) -> DataFrame:
    """One row, `cut` timestamp: the event at 0-based place n - max(1, round(n holdout_share)) in order of time.

    Exact, whatever the partitioning; no row for no events.
    """
    micros = F.unix_micros("timestamp")
    n_held = F.greatest(F.lit(1), F.round(F.count("*") * F.lit(holdout_share)).cast("bigint"))
    place = events.agg((F.count("*") - n_held).alias("place"))
    spans = events.select(F.shiftright(micros, _SPAN_BITS).alias("digit"))
    span = _narrow(spans.crossJoin(F.broadcast(place)))
    inside = F.shiftright("digit", _SPAN_BITS) == F.col("found")
    moment = _narrow(events.select(micros.alias("digit")).join(F.broadcast(span), inside))
    return moment.select(F.timestamp_micros("found").alias("cut"))


def evaluation_date(history: DataFrame) -> DataFrame:
    """One row, `run_date`: the day after the newest history event, the logical date of the run that is evaluated."""
    return history.agg(F.date_add(F.max("timestamp").cast("date"), 1).alias("run_date"))


def describe_split(config: EvaluateConfig) -> str:
    """How history and holdout are cut, for the report and the metrics table."""
    where = " of the history (inner split)" if config.inner else ""
    if config.split == "time":
        return f"time: newest {config.holdout_share * 100:g} % of the events{where}"
    return f"last: newest {config.holdout_last} of each user{where}"


def _narrow(rows: DataFrame) -> DataFrame:
    """Digit of the event at `place`, as `found`, and the place counted from that digit's first event."""
    counts = rows.groupBy("place", "digit").agg(F.count("*").alias("n"))
    before = F.sum("n").over(Window.orderBy("digit")) - F.col("n")
    steps = counts.withColumn("place", F.col("place") - before)
    return steps.where("0 <= place AND place < n").select("place", F.col("digit").alias("found"))


def _by_time(events: DataFrame, config: EvaluateConfig) -> tuple[DataFrame, DataFrame]:
    cut = F.broadcast(time_cut(events, config.holdout_share))
    both = events.crossJoin(cut)
    return both.where("timestamp < cut"), both.where("timestamp >= cut")


def _by_user(events: DataFrame, config: EvaluateConfig) -> tuple[DataFrame, DataFrame]:
    user = Window.partitionBy("user_id")
    positive = F.col("weight") > 0
    newest = user.orderBy(positive.desc(), F.desc("timestamp"), "item_num", "event", "value", "market")
    ranked = events.withColumn("held", positive & (F.row_number().over(newest) <= config.holdout_last))
    earlier = F.col("timestamp") < F.col("cut")
    cut = ranked.withColumn("cut", F.min(F.when(F.col("held"), F.col("timestamp"))).over(user))
    marked = cut.withColumn("kept", F.max(F.when(positive & earlier, F.col("timestamp"))).over(user))
    whole = F.col("kept").isNull()  # no positive would be left to learn from
    return marked.where(whole | earlier), marked.where(~whole & F.col("held"))


def _first_of_each(events: DataFrame) -> DataFrame:
    order = Window.partitionBy("user_id", "item_num").orderBy("timestamp", F.desc("weight"), "event", "value", "market")
    return events.withColumn("nth", F.row_number().over(order)).where("nth = 1").drop("nth")
