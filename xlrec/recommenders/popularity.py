"""Popularity of items in each market, with decay; scarce markets lean on the popularity of all markets."""

from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from xlrec.config.models import PopularityConfig
from xlrec.runtime.sums import exact_sum
from xlrec.tables import UNKNOWN_MARKET

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def fit_popularity(events: "DataFrame", items: "DataFrame", config: PopularityConfig, run_date: date) -> "DataFrame":
    """`POPULARITY`: (n_m(i) + prior_strength · p(i)) / (N_m + prior_strength) in each market m, where above 0.

    n_m(i) is the decayed event weight of item i in m, N_m its sum over items, p(i) the item's share of the decayed
    weight of all markets. A market without events gets p(i). Markets are those of events and items, and ZZ. Ages are
    counted back from the first moment of `run_date`; later events count as of that moment.
    """
    start = F.unix_micros(F.lit(f"{run_date.isoformat()} 00:00:00+00:00").cast("timestamp"))
    days = F.greatest(F.lit(0.0), (start - F.unix_micros("timestamp")) / F.lit(86_400_000_000.0))
    weights = events.where(F.col("weight") > 0).select(
        F.coalesce("market", F.lit(UNKNOWN_MARKET)).alias("market"),
        "item_num",
        (F.col("weight") * F.pow(F.lit(0.5), days / F.lit(config.half_life_days))).alias("weight"),
    )
    total = exact_sum(F.col("weight"))
    everywhere = weights.groupBy("item_num").agg(total.alias("n")).crossJoin(weights.agg(total.alias("n_all")))
    shares = everywhere.select("item_num", F.try_divide("n", "n_all").alias("p")).where("p > 0")
    here = weights.groupBy("market", "item_num").agg(total.alias("n"))
    sizes = weights.groupBy("market").agg(total.alias("n_market"))
    prior = F.lit(config.prior_strength)
    counted = F.coalesce("n", F.lit(0.0)) + prior * F.col("p")
    score = F.coalesce(F.try_divide(counted, F.coalesce("n_market", F.lit(0.0)) + prior), F.col("p"))
    return (
        all_markets(events, items)
        .join(sizes, "market", "left")
        .crossJoin(shares)
        .join(here, ["market", "item_num"], "left")
        .select("market", "item_num", score.alias("score"))
        .where("score > 0")
    )


def all_markets(events: "DataFrame", items: "DataFrame") -> "DataFrame":
    """(market) of events and items, and ZZ, each once."""
    unknown = events.sparkSession.createDataFrame([(UNKNOWN_MARKET,)], "market string")
    named = events.select("market").union(items.select(F.explode("markets"))).union(unknown)
    return named.where(F.col("market").isNotNull()).distinct()
