"""Catalogue rows into texts (item and language) and items."""

from datetime import date
from typing import Final

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xlrec.lake.inputs import BAD
from xlrec.stages.prepare.languages import canonical_udf, cleaning_udf, market_code
from xlrec.stages.prepare.rules import bad_cast, broken_rule, is_blank, mark_more, mark_rows, valid_rows

#: Longest title and description; longer ones are cut at a word.
MAX_TITLE_CHARS: Final = 500
MAX_DESCRIPTION_CHARS: Final = 5000


def stated_languages(catalog: DataFrame) -> DataFrame:
    """Canonical languages that the catalogue states, one a row: column language."""
    tags = catalog.select("language").distinct()
    return tags.select(canonical_udf("language").alias("language")).where("language IS NOT NULL").distinct()


def mark_catalog(catalog: DataFrame, languages: tuple[str, ...]) -> DataFrame:
    """The catalogue with `_text` (cleaned title, description, language, text, hash) and the rule each row broke.

    Missing languages are detected among `languages`, those of `stated_languages`, sorted.
    """
    clean_texts = cleaning_udf(languages, True, MAX_TITLE_CHARS, MAX_DESCRIPTION_CHARS)
    rows = catalog.withColumn("_text", clean_texts("title", "description", "language"))
    start, until = F.col("available_from"), F.col("available_until")
    reason = ("available_until ", until, " is not after available_from ", start)
    no_title = "nothing is left of the title without mark-up"
    marked = mark_rows(
        rows,
        [
            bad_cast(F.col(BAD)),
            broken_rule("missing_item_id", is_blank("item_id"), "item_id is null or blank"),
            broken_rule("missing_title", F.col("title").isNull(), "title is null"),
            broken_rule("empty_after_cleaning", F.col("_text.title") == "", no_title),
            broken_rule("bad_availability", until <= start, *reason),
        ],
    )
    same = Window.partitionBy("item_id", F.col("_text.language"), F.col("_broken").isNull()).orderBy(
        "_text.detected",
        F.col("markets").isNull(),
        F.col("_text.description").isNull(),
        *("_text.text_hash", "markets", "categories", "available_from", "available_until"),
        *("title", "description", "language"),  # rows that differ in nothing here are the same row
    )
    repeated = F.row_number().over(same) > 1
    another = ("the item has another text in ", F.col("_text.language"), ": one row per item and language")
    return mark_more(marked, broken_rule("duplicate_text", repeated, *another))


def texts_of(marked: DataFrame) -> DataFrame:
    """Table texts from the marked catalogue's valid rows."""
    detected = F.col("_text.detected").alias("language_detected")
    parts = (f"_text.{name}" for name in ("title", "description", "text", "text_hash"))
    return valid_rows(marked).select("item_id", "_text.language", detected, *parts)


def translations_of(translations: DataFrame, pivot: str) -> DataFrame:
    """(item_id, text): translations of the input in the pivot language, cleaned as the catalogue, one row per item.

    Rows without item or title are left out. Of several rows of an item the one with a description counts.
    """
    clean_texts = cleaning_udf((), False, MAX_TITLE_CHARS, MAX_DESCRIPTION_CHARS)
    rows = translations.select("item_id", clean_texts("title", "description", "language").alias("t"))
    rows = rows.where((F.col("t.language") == pivot) & (F.col("t.title") != "") & (F.trim("item_id") != ""))
    best = F.min(F.struct(F.col("t.description").isNull(), F.col("t.text"))).alias("best")
    return rows.groupBy("item_id").agg(best).select("item_id", F.col("best.text").alias("text"))


def items_of(marked: DataFrame, run_date: date) -> DataFrame:
    """Table items from the marked catalogue's valid rows.

    Where the rows of an item disagree, its categories and its markets are the union of theirs. Rows without markets
    count only where no row has any (null: everywhere). Availability is the time that all rows allow.
    """
    codes = F.transform("markets", market_code)
    rows = valid_rows(marked).select(
        "item_id", "_text.language", "categories", codes.alias("markets"), "available_from", "available_until"
    )
    no_names = F.array().cast("array<string>")
    items = rows.groupBy("item_id").agg(
        F.sort_array(F.collect_set("language")).alias("languages"),
        F.array_sort(F.array_compact(F.flatten(F.collect_set(F.coalesce("categories", no_names))))).alias("categories"),
        F.when(F.count("markets") > 0, F.flatten(F.collect_set("markets"))).alias("markets"),
        F.max("available_from").alias("available_from"),
        F.min("available_until").alias("available_until"),
    )
    # All ids go through one task to be numbered; only the ids.
    order = (F.row_number().over(Window.orderBy("item_id")) - 1).alias("item_num")
    numbers = rows.select("item_id").distinct().select("item_id", order)
    unique = {
        "categories": F.array_distinct("categories"),
        "markets": F.array_sort(F.array_distinct(F.array_compact("markets"))),
    }
    return with_availability(items.join(numbers, "item_id").withColumns(unique), run_date)


def with_availability(items: DataFrame, run_date: date) -> DataFrame:
    """The items with `available`: whether the item can be had at some time of this date (UTC)."""
    day = F.lit(run_date).cast("timestamp")
    started = F.col("available_from").isNull() | (F.col("available_from") < day + F.expr("INTERVAL 1 DAY"))
    lasting = F.col("available_until").isNull() | (F.col("available_until") > day)
    return items.withColumn("available", started & lasting)
