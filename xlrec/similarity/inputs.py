"""Inputs of the similarity program: tables of texts, read, cleaned, counted and numbered."""

from typing import Final, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from xlrec.errors import InputError
from xlrec.lake.inputs import read_input
from xlrec.similarity.languages import COMMON_LANGUAGES, MAX_CHARS
from xlrec.stages import prepare as preparing
from xlrec.tables import SIMILARITY_INPUT, UNKNOWN_LANGUAGE

_OPTIONS: Final = {"id": "--id-column", "text": "--text-column", "language": "--language-column"}


class TextCounts(NamedTuple):
    """Rows of one table, those with an id and a text, and kinds and numbers of the others."""

    rows: int
    usable: int
    note: str


def read_texts(spark: SparkSession, path: str, side: str, columns: dict[str, str]) -> DataFrame:
    """(id, text, language) as read; side, left or right, names the option in errors.

    Raises:
        InputError: the table is missing or lacks a column.
    """
    return read_input(spark, path, SIMILARITY_INPUT, columns, side, _OPTIONS | {side: f"--{side}"})


def candidate_languages(tables: list[DataFrame]) -> tuple[str, ...]:
    """Languages among which missing ones are detected: those in the tables, sorted, else `COMMON_LANGUAGES`."""
    named = {row["language"] for rows in tables for row in preparing.stated_languages(rows).collect()}
    return tuple(sorted(named)) or COMMON_LANGUAGES


def clean_texts(rows: DataFrame, among: tuple[str, ...]) -> DataFrame:
    """(id, language, text, text_hash), kept on disk: cleaned, the language canonical or detected."""
    cleaned = preparing.cleaning_udf(among, True, MAX_CHARS, 1)
    parts = rows.select("id", cleaned("text", F.lit(None).cast("string"), "language").alias("t"))
    return parts.select("id", "t.language", "t.text", "t.text_hash").persist(StorageLevel.DISK_ONLY)


def usable_rows(rows: DataFrame) -> DataFrame:
    """Rows with an id and a text."""
    return rows.where(_has_id() & (F.col("text") != ""))


def count_texts(rows: DataFrame, name: str, other_language_only: bool) -> TextCounts:
    """Rows of a table by kind; each row left out is counted once.

    Raises:
        InputError: no row has both id and text, or rows share id and language.
    """
    n_unknown = F.count_if(_has_id() & (F.col("text") != "") & (F.col("language") == UNKNOWN_LANGUAGE))
    n_empty = F.count_if(_has_id() & (F.col("text") == ""))
    n_rows, *n_left_out = rows.agg(F.count("*"), n_empty, F.count_if(~_has_id()), n_unknown).collect()[0]
    n_usable = n_rows - n_left_out[0] - n_left_out[1]
    if not n_usable:
        raise InputError(f"{name} has {n_rows} rows, none with an id and a text: name another table or column")
    n_repeated = usable_rows(rows).groupBy("id", "language").count().where("count > 1").count()
    if n_repeated:
        raise InputError(
            f"{name} has {n_repeated} ids with several rows in one language: leave one row each, or name another "
            "--id-column"
        )
    kinds = ["without text", "without id", *["in an unknown language, which match nothing"] * other_language_only]
    note = ", ".join(f"{n:,} {kind}" for n, kind in zip(n_left_out, kinds, strict=False) if n)
    return TextCounts(n_rows, n_usable, note)


def number_rows(rows: DataFrame) -> DataFrame:
    """(id, language, text_hash, num), kept on disk: num counts from 0 by (id, language).

    All rows go through one task to be numbered; their texts and vectors do not.
    """
    order = Window.orderBy("id", "language")
    named = usable_rows(rows).select("id", "language", "text_hash")
    return named.withColumn("num", F.row_number().over(order) - 1).persist(StorageLevel.DISK_ONLY)


def _has_id() -> Column:
    return F.coalesce(F.trim("id"), F.lit("")) != ""
