"""Ground truth of the holdout: the same for every system, so made once and kept."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from xlrec.config.models import EvaluateConfig
from xlrec.kernels.base.buckets import count_buckets
from xlrec.tables import UNKNOWN_LANGUAGE, UNKNOWN_MARKET


def ground_truth(
    holdout: DataFrame, history: DataFrame, users: DataFrame, items: DataFrame, config: EvaluateConfig
) -> DataFrame:
    """One row per user of the holdout: user_id, slices, relevant, cold, foreign, languages, language_weights.

    relevant holds the item_nums that were chosen. cold is their part without any event in history. foreign is their
    part with no language of the history's items: only a cross-lingual recommender finds it. An item whose language is
    unknown is never foreign, nor is anything to a user without history.

    slices are `all`, `market=…`, `language=…` (the user's heaviest, und where unknown), `history=…` (distinct positive
    items, in buckets that begin at 0 and at each of `history_slices`) and `cold_items=yes|no` (whether any relevant
    item is cold).

    `holdout` and `history` are of `split_events`. `users` are derived from history, since later events would give away
    the languages of the holdout.
    """
    relevant = _relevant(holdout, history, items)
    known = users.select("user_id", "market", "languages", "language_weights")
    positives = history.where("weight > 0").groupBy("user_id").agg(F.count_distinct("item_num").alias("n_history"))
    joined = relevant.join(known, "user_id", "left").join(positives, "user_id", "left")
    slices = F.array(
        F.lit("all"),
        F.concat(F.lit("market="), F.coalesce("market", F.lit(UNKNOWN_MARKET))),
        F.concat(F.lit("language="), F.coalesce(F.get("languages", F.lit(0)), F.lit(UNKNOWN_LANGUAGE))),
        F.concat(F.lit("history="), _bucket(F.coalesce("n_history", F.lit(0)), config.history_slices)),
        F.when(F.size("cold") > 0, "cold_items=yes").otherwise("cold_items=no"),
    )
    return joined.select(
        "user_id",
        slices.alias("slices"),
        "relevant",
        "cold",
        "foreign",
        F.coalesce("languages", F.array().cast("array<string>")).alias("languages"),
        F.coalesce("language_weights", F.array().cast("array<double>")).alias("language_weights"),
    )


def item_reach(items: DataFrame, history: DataFrame) -> DataFrame:
    """One row per item: item_id, item_num, n_users (who interacted with it in history), n_all (users in history)."""
    everyone = history.agg(F.count_distinct("user_id").alias("n_all"))
    reached = history.groupBy("item_num").agg(F.count_distinct("user_id").alias("n_users"))
    return (
        items.select("item_id", "item_num")
        .join(reached, "item_num", "left")
        .crossJoin(F.broadcast(everyone))
        .select("item_id", "item_num", F.coalesce("n_users", F.lit(0)).alias("n_users"), "n_all")
    )


def _relevant(holdout: DataFrame, history: DataFrame, items: DataFrame) -> DataFrame:
    languages = items.select("item_num", F.col("languages").alias("item_languages"))
    warm = history.select("item_num").distinct().withColumn("warm", F.lit(True))
    seen = history.select("user_id", "item_num").distinct().join(languages, "item_num")
    read = seen.groupBy("user_id").agg(F.array_distinct(F.flatten(F.collect_set("item_languages"))).alias("read"))
    known = (F.size("item_languages") > 0) & ~F.array_contains("item_languages", UNKNOWN_LANGUAGE)
    foreign = F.col("read").isNotNull() & known & ~F.arrays_overlap("item_languages", "read")
    marked = (
        holdout.select("user_id", "item_num")
        .distinct()
        .join(languages, "item_num", "left")
        .join(warm, "item_num", "left")
        .join(read, "user_id", "left")
        .select("user_id", "item_num", F.col("warm").isNull().alias("is_cold"), foreign.alias("is_foreign"))
    )

    def nums(condition: Column) -> Column:
        return F.sort_array(F.collect_list(F.when(condition, F.col("item_num"))))

    return marked.groupBy("user_id").agg(
        nums(F.lit(True)).alias("relevant"),
        nums(F.col("is_cold")).alias("cold"),
        nums(F.col("is_foreign")).alias("foreign"),
    )


def _bucket(n: Column, bounds: tuple[int, ...]) -> Column:
    """The label of the bucket that holds n, such as 3-9; the last is open, such as 30+."""
    *closed, (_, _, last) = count_buckets(bounds)
    label_of: Column = F.lit(last)
    for _, after, label in reversed(closed):
        label_of = F.when(n < F.lit(after), label).otherwise(label_of)
    return label_of
