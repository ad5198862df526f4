"""Co-visitation: what is chosen soon after what, shared across markets by item, decayed and normalised."""

from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from xlrec.config import CovisitationConfig
from xlrec.kernels.covisits import Logs, Rules, neighbours
from xlrec.kernels.csr import indptr_of
from xlrec.sums import exact_sum
from xlrec.tables import NEIGHBOURS
from xlrec.tasks import shuffle_tasks

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_DAY = 86_400_000_000.0
_BLOCKS = 200  # of items, where the session does not say into how many tasks it shuffles


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

    Pairs never pass through Spark: each user's log goes once to every block of items that it touches, and a task counts
    the pairs of its block. A user makes at most max_history · window_items pairs, read both ways.

    Args:
        events: `EVENTS`.
        config: The constants above.
        run_date: Ages are counted back from its first moment.
    """
    positive = events.where(F.col("weight") > 0).select(
        "user_id", "item_num", "weight", F.unix_micros("timestamp").alias("micros")
    )
    decay = _half(_age(F.col("micros"), run_date), config.half_life_days)
    totals = positive.groupBy("item_num").agg(exact_sum(F.col("weight") * decay).alias("total"))
    norms = totals.select(
        "item_num", F.pow(F.col("total") + F.lit(config.shrinkage), F.lit(config.normalisation)).alias("norm")
    )
    n_blocks = shuffle_tasks(events.sparkSession) or _BLOCKS
    blocks = _by_block(positive.withColumn("decay", decay).join(norms, "item_num"), config.max_history, n_blocks)

    def of_block(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        rules = Rules(
            config.window_items, config.max_gap_days, config.gap_half_life_days, config.gap_half_life_items,
            config.backward_weight,
        )  # fmt: skip
        items, near, scores = neighbours(_logs(table), key[0].as_py(), n_blocks, rules, config.neighbours)
        columns: dict[str, Any] = {"item_num": items, "neighbour_num": near, "score": scores}
        return pa.table(columns)

    return blocks.groupBy("block").applyInArrow(of_block, NEIGHBOURS.schema)


def _by_block(events: "DataFrame", max_history: int, n_blocks: int) -> "DataFrame":
    """(block, log): each user's newest events, oldest first, once for every block that one of their items is in."""
    log = F.sort_array(F.collect_list(F.struct("micros", "item_num", "weight", "decay", "norm")))
    logs = events.groupBy("user_id").agg(log.alias("log"))
    newest = logs.select(F.expr(f"slice(log, -least({max_history}, size(log)), {max_history})").alias("log"))
    block = F.expr(f"array_distinct(transform(log, one -> one.item_num % {n_blocks}))")
    return newest.where(F.size("log") > 1).select(F.explode(block).alias("block"), "log")


def _logs(table: pa.Table) -> Logs:
    lists: Any = table["log"].combine_chunks()
    fields = {one.name: column for one, column in zip(lists.type.value_type, lists.flatten().flatten(), strict=True)}
    micros, nums, weights, decays, norms = (
        fields[name].to_numpy(zero_copy_only=False) for name in ("micros", "item_num", "weight", "decay", "norm")
    )
    sizes = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    return Logs(indptr_of(sizes), nums, micros, weights, decays, norms)


def _age(micros: "Column", run_date: date) -> "Column":
    """Days before the first moment of run_date, at least 0."""
    start = F.unix_micros(F.lit(f"{run_date.isoformat()} 00:00:00+00:00").cast("timestamp"))
    return F.greatest(F.lit(0.0), (start - micros) / F.lit(_DAY))


def _half(days: "Column", half_life: float) -> "Column":
    return F.pow(F.lit(0.5), days / F.lit(half_life))
