"""Training data of an encoder from a lake: texts of one item in several languages, and items chosen together."""

from typing import TYPE_CHECKING, Final

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config.models import CovisitationConfig
from xlrec.recommenders import covisitation
from xlrec.runtime.files import Files
from xlrec.tables import UNKNOWN_LANGUAGE
from xlrec.training.encoder.choices import LAKE_CHOICES, LAKE_TEXTS

if TYPE_CHECKING:
    from xlrec.training.encoder.config import LakeConfig

#: Hashes are spread evenly below it.
_HASHES: Final = 2**31


def usable_texts(texts: DataFrame, config: "LakeConfig") -> DataFrame:
    """(item_id, language, text) of `TEXTS`, long enough, in a known language, of at most about `max_items` items."""
    letters = F.length(F.regexp_replace("text", r"[^\p{L}\p{M}\p{N}]", ""))
    kept = texts.where((letters >= config.min_letters) & (F.col("language") != UNKNOWN_LANGUAGE))
    kept = kept.select("item_id", "language", "text")
    return kept.join(_about(kept.select("item_id").distinct(), config.max_items), "item_id", "left_semi")


def chosen_pairs(
    events: DataFrame, items: DataFrame, usable: DataFrame, config: "LakeConfig", files: Files
) -> DataFrame:
    """(left_id, right_id), left_id < right_id: items that at least `min_users` users chose, soon after one another.

    Each item is joined to the `pairs_per_item` that are closest to it in histories, whatever the market; of all pairs
    a share is kept by hash where there are more than `max_pairs`. `files` is as in `covisitation.fit_neighbours`.
    """
    model = CovisitationConfig(
        window_items=config.window_items, max_gap_days=config.max_gap_days, regression=False, sequence=1.0,
        normalisation=0.5, predictors=config.pairs_per_item,
    )  # fmt: skip
    known = items.join(usable.select("item_id").distinct(), "item_id", "left_semi").select("item_num", "item_id")
    chosen = events.where("weight > 0").join(known.select("item_num"), "item_num", "left_semi")
    pooled = items.withColumn("markets", F.lit(None).cast("array<string>"))
    near = covisitation.fit_neighbours(chosen.withColumn("market", F.lit(None).cast("string")), pooled, model, files)
    both = near.select(
        F.least("item_num", "neighbour_num").alias("a"), F.greatest("item_num", "neighbour_num").alias("b")
    ).distinct()
    named = (
        _chosen_by(both, chosen, config.min_users)
        .join(known.select(F.col("item_num").alias("a"), F.col("item_id").alias("left_id")), "a")
        .join(known.select(F.col("item_num").alias("b"), F.col("item_id").alias("right_id")), "b")
    )
    left, right = F.least("left_id", "right_id"), F.greatest("left_id", "right_id")
    return _about(named.select(left.alias("left_id"), right.alias("right_id")), config.max_pairs)


def parallel_texts(usable: DataFrame, pairs: DataFrame) -> DataFrame:
    """(concept_id, language, text, source, licence): a concept an item.

    Source `lake-texts` has different texts in two languages or more, `lake-choices` is in a pair only; other items are
    left out.
    """
    own = Window.partitionBy("item_id")
    several = (F.size(F.collect_set("language").over(own)) > 1) & (F.size(F.collect_set("text").over(own)) > 1)
    chosen = pairs.select(F.explode(F.array("left_id", "right_id")).alias("item_id")).distinct()
    marked = usable.withColumn("several", several).join(chosen.withColumn("chosen", F.lit(True)), "item_id", "left")
    return marked.where(F.col("several") | F.col("chosen")).select(
        F.col("item_id").alias("concept_id"),
        "language",
        "text",
        F.when(F.col("several"), LAKE_TEXTS).otherwise(LAKE_CHOICES).alias("source"),
        F.lit("own").alias("licence"),
    )


def _chosen_by(pairs: DataFrame, chosen: DataFrame, min_users: int) -> DataFrame:
    """The pairs (a, b) of items of which enough users chose both."""
    of_user = chosen.select("user_id", "item_num").distinct()
    left = pairs.join(of_user.withColumnRenamed("item_num", "a"), "a")
    both = left.join(of_user.withColumnRenamed("item_num", "b"), ["user_id", "b"])
    return both.groupBy("a", "b").agg(F.count("*").alias("n_users")).where(F.col("n_users") >= min_users)


def _about(rows: DataFrame, most: int) -> DataFrame:
    """All rows, or about `most` of them, chosen by hash of what they hold."""
    n_rows = rows.agg(F.count("*").alias("n_rows"))
    place = F.pmod(F.xxhash64(*rows.columns), F.lit(_HASHES)) / F.lit(_HASHES)
    kept = rows.crossJoin(F.broadcast(n_rows)).where(place * F.col("n_rows") < F.lit(most))
    return kept.select(*rows.columns)
