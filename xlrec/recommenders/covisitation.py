"""Co-visitation: what is chosen soon after what, shared across markets by item, decayed and normalised."""

from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from xlrec.config import CovisitationConfig
from xlrec.sums import exact_sum

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_DAY = 86_400_000_000.0


def fit(events: "DataFrame", config: CovisitationConfig, run_date: date) -> "DataFrame":
    """`NEIGHBOURS`: each item's best neighbours, (score desc, neighbour_num asc); an item is never its own.

    score(a, b) = Σ value / ((total_a + shrinkage)^n · (total_b + shrinkage)^n). A pair is two events of weight > 0 in
    one user's newest `max_history`, at most `window_items` places and `max_gap_days` apart; its value is
    √(w_a · w_b) · 0.5^(gap / gap_half_life_days) · 0.5^(events between / gap_half_life_items)
    · 0.5^(age of the later one / half_life_days), for the earlier item a; the later item gets the same pair times
    `backward_weight`. total = Σ w · 0.5^(age / half_life_days) over the item's events. With the root of the product,
    scores do not change when all event weights are scaled (shrinkage 0, n 0.5).

    ItemKNN with binary cosine is this on one event of weight 1 per user and item, with `backward_weight` 1,
    `normalisation` 0.5, `shrinkage` 0, and `window_items`, `max_gap_days` and all half-lives far beyond the data
    (1e9, which leaves the decay at 1 to six digits); `max_history` then bounds the pairs of a user to its square.

    Args:
        events: `EVENTS`.
        config: The constants above.
        run_date: Ages are counted back from its first moment.
    """
    positive = events.where(F.col("weight") > 0).select(
        "user_id", "item_num", "weight", F.unix_micros("timestamp").alias("micros")
    )
    totals = positive.groupBy("item_num").agg(
        exact_sum(F.col("weight") * _half(_age(F.col("micros"), run_date), config.half_life_days)).alias("total")
    )
    pairs = _pairs(positive, config)
    value = (
        F.sqrt(F.col("w_a") * F.col("w_b"))
        * _half(F.col("gap_days"), config.gap_half_life_days)
        * _half(F.col("between"), config.gap_half_life_items)
        * _half(_age(F.col("micros_b"), run_date), config.half_life_days)
    )
    pairs = pairs.select("a", "b", value.alias("value"))
    directed = pairs.union(pairs.select("b", "a", F.col("value") * F.lit(config.backward_weight)))
    summed = directed.groupBy("a", "b").agg(exact_sum(F.col("value")).alias("value"))
    return _best(summed.where("value > 0"), totals, config)


def _age(micros: "Column", run_date: date) -> "Column":
    """Days before the first moment of run_date, at least 0."""
    start = F.unix_micros(F.lit(f"{run_date.isoformat()} 00:00:00+00:00").cast("timestamp"))
    return F.greatest(F.lit(0.0), (start - micros) / F.lit(_DAY))


def _half(days: "Column", half_life: float) -> "Column":
    return F.pow(F.lit(0.5), days / F.lit(half_life))


def _pairs(positive: "DataFrame", config: CovisitationConfig) -> "DataFrame":
    """(a, b, w_a, w_b, between, gap_days, micros_b): a before b; made from each user's array, without a self join."""
    log = F.sort_array(F.collect_list(F.struct("micros", "item_num", "weight")))
    logs = positive.groupBy("user_id").agg(log.alias("log"))
    newest = logs.select(
        F.expr(f"slice(log, -least({config.max_history}, size(log)), {config.max_history})").alias("log")
    )
    ahead = F.expr(f"transform(log, (a, i) -> struct(a AS a, slice(log, i + 2, {config.window_items}) AS later))")
    firsts = newest.select(F.explode(ahead).alias("first")).select(
        "first.a", F.posexplode("first.later").alias("between", "b")
    )
    found = firsts.select(
        F.col("a.item_num").alias("a"),
        F.col("b.item_num").alias("b"),
        F.col("a.weight").alias("w_a"),
        F.col("b.weight").alias("w_b"),
        "between",
        ((F.col("b.micros") - F.col("a.micros")) / F.lit(_DAY)).alias("gap_days"),
        F.col("b.micros").alias("micros_b"),
    )
    return found.where((F.col("a") != F.col("b")) & (F.col("gap_days") <= config.max_gap_days))


def _best(summed: "DataFrame", totals: "DataFrame", config: CovisitationConfig) -> "DataFrame":
    norm = F.pow(F.col("total") + F.lit(config.shrinkage), F.lit(config.normalisation))
    norms = totals.select(F.col("item_num").alias("num"), norm.alias("norm"))
    scored = (
        summed.join(norms.withColumnsRenamed({"num": "a", "norm": "norm_a"}), "a")
        .join(norms.withColumnsRenamed({"num": "b", "norm": "norm_b"}), "b")
        .select(
            F.col("a").alias("item_num"),
            F.col("b").alias("neighbour_num"),
            F.try_divide(F.col("value"), F.col("norm_a") * F.col("norm_b")).alias("score"),
        )
        .where("score > 0")
    )
    order = Window.partitionBy("item_num").orderBy(F.desc("score"), "neighbour_num")
    return (
        scored.withColumn("place", F.row_number().over(order)).where(F.col("place") <= config.neighbours).drop("place")
    )
