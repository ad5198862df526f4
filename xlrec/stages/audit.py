"""Audit: figures of a new run's lists and their drift from the live run's, against the bars of the config."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StructType

from xlrec.config.models import AuditConfig

#: Ranks that are told apart as bits of one integer.
_WORD: Final = 64


@dataclass(frozen=True)
class Verdict:
    """One bar: `value` must be at least `least` and at most `most`."""

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


def measure_lists(new: DataFrame, live: DataFrame | None, users: DataFrame, k: int) -> DataFrame:
    """One row of numbers about the new lists, and their drift against the live ones.

    Columns: rows, users_with_list, users, short_lists (fewer than k rows), broken_lists (a gap or repetition in rank,
    or an item twice), live_rows, language_drift (total variation distance of item_language, in [0, 1]) and score_drift
    (Kolmogorov-Smirnov distance of the scores at rank 1, on steps of 0.01). The last three are null without a live run.
    """
    lists = _lists(new, k).agg(
        F.coalesce(F.sum("n"), F.lit(0)).alias("rows"),
        F.count("*").alias("users_with_list"),
        F.count_if(F.col("n") < k).alias("short_lists"),
        F.count_if("broken").alias("broken_lists"),
    )
    figures = lists.crossJoin(users.agg(F.count("*").alias("users")))
    if live is None:
        drift = {"live_rows": "bigint", "language_drift": "double", "score_drift": "double"}
        return figures.withColumns({name: F.lit(None).cast(kind) for name, kind in drift.items()})
    shapes = _shapes(new, live)
    return figures.crossJoin(_total_variation(shapes)).crossJoin(_kolmogorov_smirnov(shapes))


def _lists(rows: DataFrame, k: int) -> DataFrame:
    """user_id, n and broken (ranks are not 1..n, an item is there twice, or n > k): a row per list.

    Ranks are bits of integers, items 64-bit hashes, so a list crosses the shuffle as one small row. Two items that
    share a hash (one list of 50 in 10^16) would count as the same: a list is never taken for whole that is not.
    """
    words = range(0, k, _WORD)
    counts = [F.count("*").alias("n"), F.max("rank").alias("last")]
    ranks = [F.bit_or(_bit(F.col("rank") - 1 - first)).alias(f"ranks_{first}") for first in words]
    hashes = F.collect_list(F.when(F.col("item_id").isNotNull(), F.xxhash64("item_id"))).alias("items")
    lists = rows.groupBy("user_id").agg(*counts, *ranks, hashes)
    n_ranks = reduce(Column.__add__, (F.bit_count(F.coalesce(f"ranks_{first}", F.lit(0))) for first in words))
    n_items = F.size(F.array_distinct("items"))
    whole = (F.col("last") == F.col("n")) & (n_ranks == F.col("n")) & (n_items == F.col("n")) & (F.col("n") <= k)
    return lists.select("user_id", "n", (~F.coalesce(whole, F.lit(False))).alias("broken"))


def _bit(place: Column) -> Column:
    """The bigint with this bit; 0 where the place is not in one word."""
    return F.when(place.between(0, _WORD - 1), F.call_function("shiftleft", F.lit(1).cast("bigint"), place))


def audit_verdicts(measured: Mapping[str, float | None], config: AuditConfig) -> list[Verdict]:
    """Every bar with its value; the drift bars only where there is a live run."""

    def number(name: str) -> float:
        return float(measured[name] or 0)

    coverage = number("users_with_list") / max(number("users"), 1.0)
    short = number("short_lists") / max(number("users_with_list"), 1.0)
    bars = [
        Verdict("broken lists", number("broken_lists"), None, 0.0, "a bug: ranks must run 1..n, items be distinct"),
        Verdict("coverage", coverage, config.min_coverage, None, "users whose market sells nothing"),
        Verdict("short lists", short, None, config.max_short_lists, "markets with few eligible items"),
    ]
    if measured["live_rows"] is not None:
        against, drop = "against the live run", max(0.0, 1.0 - number("rows") / max(number("live_rows"), 1.0))
        language, score = number("language_drift"), number("score_drift")
        bars += [
            Verdict("row drop", drop, None, config.max_row_drop, f"{against}: is an input incomplete?"),
            Verdict("language drift", language, None, config.max_language_drift, against),
            Verdict("score drift", score, None, config.max_score_drift, against),
        ]
    return bars


def content_hash(recommendations: DataFrame) -> DataFrame:
    """One row, `content_hash` string: equal for equal lists, whatever the order, files, run_id and run_date.

    The sum of the rows' 64-bit hashes modulo 2^64 and the row count, so equal rows do not cancel out. Summed as
    integers in three parts, of which none overflows below 2^40 rows. Source: multiset
    hashing by addition (Clarke et al. 2003).
    """
    fields = [field for field in recommendations.schema.fields if field.name not in ("run_id", "run_date")]
    row = F.xxhash64(*(part for field in fields for part in _parts(F.col(field.name), field.dataType)))
    masked = F.shiftright("row", 22).bitwiseAND(F.lit((1 << 21) - 1))
    parts = {43: F.shiftright("row", 43), 22: masked, 0: F.col("row").bitwiseAND(F.lit((1 << 22) - 1))}
    sums = recommendations.select(row.alias("row")).agg(
        F.count("*").alias("n"),
        *(F.coalesce(F.sum(part), F.lit(0)).alias(f"from_{bit}") for bit, part in parts.items()),
    )
    whole = "decimal(20,0)"
    powers = [F.pmod(f"from_{bit}", F.lit(1 << min(62, 64 - bit))).cast(whole) * F.lit(1 << bit) for bit in parts]
    total = F.pmod(reduce(Column.__add__, powers), F.lit(str(1 << 64)).cast(whole))
    return sums.select(F.concat_ws("-", "n", total).alias("content_hash"))


def _parts(value: Column, kind: DataType) -> Iterator[Column]:
    """Columns that identify a value: xxhash64 skips nulls, in arrays too, and ignores the length of an array.

    The places of nulls in an array are not identified.
    """
    yield value.isNull()
    if isinstance(kind, StructType):
        for field in kind.fields:
            yield from _parts(value[field.name], field.dataType)
        return
    yield value
    if isinstance(kind, ArrayType):
        yield F.size(value)


def _shapes(new: DataFrame, live: DataFrame) -> DataFrame:
    """item_language, step (score to 0.01 at rank 1, else null), a and b: rows of new and of live; a few thousand."""
    step = F.when(F.col("rank") == 1, F.round("score", 2)).alias("step")
    mine, theirs = (rows.select("item_language", step, F.lit(n).alias("a")) for rows, n in ((new, 1), (live, 0)))
    groups = mine.unionByName(theirs).groupBy("item_language", "step")
    return groups.agg(F.sum("a").alias("a"), F.sum(1 - F.col("a")).alias("b"))


def _total(side: str) -> Column:
    whole = Window.orderBy(F.lit(0)).rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    return F.greatest(F.sum(side).over(whole), F.lit(1))


def _total_variation(shapes: DataFrame) -> DataFrame:
    languages = shapes.groupBy("item_language").agg(F.sum("a").alias("a"), F.sum("b").alias("b"))
    gaps = languages.select("b", F.abs(F.col("a") / _total("a") - F.col("b") / _total("b")).alias("gap"))
    return gaps.agg(
        F.coalesce(F.sum("b"), F.lit(0)).alias("live_rows"),
        (F.coalesce(F.sum("gap"), F.lit(0.0)) / 2).alias("language_drift"),
    )


def _kolmogorov_smirnov(shapes: DataFrame) -> DataFrame:
    steps = shapes.where(F.col("step").isNotNull()).groupBy("step")
    grid = steps.agg(F.sum("a").alias("a"), F.sum("b").alias("b"))
    up_to = Window.orderBy("step").rowsBetween(Window.unboundedPreceding, 0)
    cdf_a, cdf_b = (F.sum(side).over(up_to) / _total(side) for side in ("a", "b"))
    gaps = grid.select(F.abs(cdf_a - cdf_b).alias("gap"))
    return gaps.agg(F.coalesce(F.max("gap"), F.lit(0.0)).alias("score_drift"))
