"""A sample of texts, spread evenly over the languages and the same for equal catalogues."""

from collections.abc import Mapping
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

#: A content hash's first hex digits, as a number, are spread evenly below 16 to this power.
_DIGITS: Final = 8


def texts_by_language(texts: DataFrame, mute: DataFrame) -> DataFrame:
    """A row per language: language, n, n_stated (texts whose language the input gave), n_mute.

    `mute` holds the text_hash of texts that distinguish no items, few.
    """
    marked = texts.join(F.broadcast(mute.withColumn("mute", F.lit(True))), "text_hash", "left")
    stated = F.count_if(~F.col("language_detected")).alias("n_stated")
    return marked.groupBy("language").agg(F.count("*").alias("n"), stated, F.count("mute").alias("n_mute"))


def text_sample(texts: DataFrame, sizes: Mapping[str, int], n_wanted: int) -> DataFrame:
    """language, language_detected, text of about n_wanted texts, chosen by hash; all texts of a language with few.

    They are spread evenly over the languages, at least one each; `sizes` holds each one's texts, and is not empty.
    """
    wanted = max(1, n_wanted // len(sizes))
    below = [(tag, min(1.0, wanted / n) * 16.0**_DIGITS) for tag, n in sorted(sizes.items()) if n]
    bounds = F.create_map(*(F.lit(value) for pair in below for value in pair))
    place = F.conv(F.substring("text_hash", 1, _DIGITS), 16, 10).cast("double")
    chosen = texts.where(place < bounds[F.col("language")])
    return chosen.select("language", "language_detected", "text")
