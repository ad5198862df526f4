"""Audit: what a new run's lists look like, beside the live run's, and which bars of the config they miss."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config import AuditConfig


@dataclass(frozen=True)
class Verdict:
    """One bar: `value` must not be above `most`, or below `least`."""

    name: str
    value: float
    least: float | None
    most: float | None
    advice: str

    @property
    def passed(self) -> bool:
        """Whether the bar is met."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        bar = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"
        return f"{self.name} is {self.value:.4g}, allowed is {bar} ({self.advice})"


def measure(new: DataFrame, live: DataFrame | None, users: DataFrame, k: int) -> DataFrame:
    """One row of numbers about the new lists, and their drift against the live ones.

    Columns: rows, users_with_list, users, short_lists (fewer than k rows), broken_lists (a gap or repetition in rank,
    or an item twice), live_rows, language_drift (total variation distance of item_language, in [0, 1]) and score_drift
    (Kolmogorov-Smirnov distance of the scores at rank 1, on steps of 0.01). The last three are null without a live run.
    """
    lists = new.groupBy("user_id").agg(
        F.count("*").alias("n"),
        F.max("rank").alias("last"),
        F.countDistinct("rank").alias("ranks"),
        F.countDistinct("item_id").alias("items"),
    )
    broken = (F.col("n") != F.col("last")) | (F.col("ranks") != F.col("n")) | (F.col("items") != F.col("n"))
    found = lists.agg(
        F.coalesce(F.sum("n"), F.lit(0)).alias("rows"),
        F.count("*").alias("users_with_list"),
        F.count_if(F.col("n") < k).alias("short_lists"),
        F.count_if(broken | (F.col("n") > k)).alias("broken_lists"),
    ).crossJoin(users.agg(F.count("*").alias("users")))
    if live is None:
        nothing = F.lit(None)
        return found.select(
            "*",
            nothing.cast("bigint").alias("live_rows"),
            nothing.cast("double").alias("language_drift"),
            nothing.cast("double").alias("score_drift"),
        )
    return (
        found.crossJoin(live.agg(F.count("*").alias("live_rows")))
        .crossJoin(_total_variation(new, live).alias("l"))
        .crossJoin(_kolmogorov_smirnov(new, live).alias("s"))
    )


def verdicts(measured: Mapping[str, float | None], config: AuditConfig) -> list[Verdict]:
    """Every bar with its value; the drift bars only where there is a live run."""

    def number(name: str) -> float:
        return float(measured[name] or 0)

    users, lists = max(number("users"), 1.0), max(number("users_with_list"), 1.0)
    found = [
        Verdict("broken lists", number("broken_lists"), None, 0.0, "a bug: ranks must run 1..n, items be distinct"),
        Verdict(
            "coverage", number("users_with_list") / users, config.min_coverage, None, "users whose market sells nothing"
        ),
        Verdict(
            "short lists",
            number("short_lists") / lists,
            None,
            config.max_short_lists,
            "markets with few eligible items",
        ),
    ]
    if measured["live_rows"] is not None:
        drop = max(0.0, 1.0 - number("rows") / max(number("live_rows"), 1.0))
        found += [
            Verdict("row drop", drop, None, config.max_row_drop, "against the live run: is an input incomplete?"),
            Verdict(
                "language drift", number("language_drift"), None, config.max_language_drift, "against the live run"
            ),
            Verdict("score drift", number("score_drift"), None, config.max_score_drift, "against the live run"),
        ]
    return found


def content_hash(recommendations: DataFrame) -> DataFrame:
    """One row, `content_hash` string: equal for equal lists, whatever the order, files, run_id and run_date.

    The sum of the rows' 64-bit hashes modulo 2^64 and the row count, so equal rows do not cancel out. Source: multiset
    hashing by addition (Clarke et al. 2003).
    """
    columns = [F.col(name) for name in recommendations.columns if name not in ("run_id", "run_date")]
    row = F.xxhash64(F.to_json(F.struct(*columns))).cast("decimal(38,0)")
    total = F.pmod(F.coalesce(F.sum(row), F.lit(0)), F.lit("18446744073709551616").cast("decimal(38,0)"))
    return recommendations.agg(F.concat_ws("-", F.count("*"), total).alias("content_hash"))


def _total_variation(new: DataFrame, live: DataFrame) -> DataFrame:
    def shares(rows: DataFrame, name: str) -> DataFrame:
        counts = rows.groupBy("item_language").agg(F.count("*").alias("n"))
        return counts.crossJoin(rows.agg(F.count("*").alias("all"))).select(
            "item_language", (F.col("n") / F.col("all")).alias(name)
        )

    both = shares(new, "a").join(shares(live, "b"), "item_language", "full")
    gap = F.abs(F.coalesce("a", F.lit(0.0)) - F.coalesce("b", F.lit(0.0)))
    return both.agg((F.coalesce(F.sum(gap), F.lit(0.0)) / 2).alias("language_drift"))


def _kolmogorov_smirnov(new: DataFrame, live: DataFrame) -> DataFrame:
    def steps(rows: DataFrame, side: str) -> DataFrame:
        first = rows.where("rank = 1").select(F.round("score", 2).alias("score"))
        return first.groupBy("score").agg(F.count("*").alias(side))

    grid = steps(new, "a").join(steps(live, "b"), "score", "full").na.fill(0, ["a", "b"])
    up_to = Window.orderBy("score").rowsBetween(Window.unboundedPreceding, 0)  # a few thousand steps at most
    whole = Window.orderBy(F.lit(0)).rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)

    def cdf(side: str) -> Column:
        return F.sum(side).over(up_to) / F.greatest(F.sum(side).over(whole), F.lit(1))

    gaps = grid.select(F.abs(cdf("a") - cdf("b")).alias("gap"))
    return gaps.agg(F.coalesce(F.max("gap"), F.lit(0.0)).alias("score_drift"))
