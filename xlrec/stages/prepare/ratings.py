"""Least positive rating: one for all markets, or the median of the market's ratings of one kind."""

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config.models import PrepareConfig

#: Highest value of a scale of stars, and of thumbs (0 and 1, or -1 and 1). The highest rating of a market identifies
#: its scale: stars reach above thumbs and no further than five.
STARS: Final = 5.0
THUMBS: Final = 1.0


def is_rated(config: PrepareConfig) -> Column:
    """Whether a row is a rating with a value."""
    return F.col("event").isin(*config.rating_events) & F.col("value").isNotNull()


def least_positive(events: DataFrame, config: PrepareConfig) -> DataFrame:
    """market, event, least_positive double: a row per market and event with ratings.

    By rank, a value is positive where (ratings below it + half of those equal to it) / all is at least 0.5. The share
    grows with the value, so one bound suffices. It is counted in integers, so partitioning never changes it. The
    highest value is always positive, also where all ratings are equal.
    """
    counts = events.where(is_rated(config)).groupBy("market", "event", "value").agg(F.count("*").alias("n"))
    kind = Window.partitionBy("market", "event")
    upto = F.sum("n").over(kind.orderBy("value"))
    upper = 2 * upto - F.col("n") >= F.sum("n").over(kind)  # twice the ratings below, and those equal
    by_rank = F.min(F.when(F.col("upper"), F.col("value")))
    bar = F.lit(config.positive_rating)
    if config.rating_scale == "quantile":
        bound = by_rank
    elif config.rating_scale == "threshold":
        bound = F.first(bar)
    else:
        bound = F.when((F.max("value") > STARS) | (F.max("value") <= THUMBS), by_rank).otherwise(bar)
    return counts.withColumn("upper", upper).groupBy("market", "event").agg(bound.alias("least_positive"))
