"""Amazon-M2 (KDD Cup 2023) into the input layout: products of six locales, sessions as users."""

from datetime import date
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from xlrec.datasets.layout import ImportSummary, read_csv, write_layout

_PRODUCTS: Final = ("id", "locale", "title", "brand", "color", "size", "material", "author", "desc")
_SESSIONS: Final = ("prev_items", "next_item", "locale")
_ABOUT: Final = (
    "the folder of Amazon-M2 is expected, with products_train.csv (id,locale,title,price,brand,color,size,model,"
    "material,author,desc) and sessions_train.csv (prev_items,next_item,locale)"
)
#: Language of the products' texts in each locale; another locale's is detected.
_LANGUAGES: Final = {"UK": "en", "DE": "de", "JP": "ja", "ES": "es", "FR": "fr", "IT": "it"}
#: The set tells no times: sessions are spread over these days.
FIRST_DAY: Final = date(2023, 1, 1)
DAYS: Final = 28


def import_amazon_m2(spark: SparkSession, source: str, out: str) -> ImportSummary:
    """Replaces out/catalog and out/interactions from Amazon-M2's training files.

    An item is sold in every locale that lists it and has a text in each of their languages; brand, author, colour,
    size and material stand before the description. A session is a user, `UK-00000017` for row 17 of the file, and each
    of its items an event `click`. The set has neither users nor times: a session starts at a moment of the DAYS days
    from FIRST_DAY that its name alone decides, and its items follow a minute apart. Evaluate it with `split: last`.

    Raises:
        InputError: A file or a column is missing; whoever unpacked the set mends it.
    """
    products = read_csv(spark, source, "products_train.csv", _PRODUCTS, _ABOUT, multi_line=True)
    sessions = read_csv(spark, source, "sessions_train.csv", _SESSIONS, _ABOUT, multi_line=True)
    return write_layout(out, _catalog(products), _clicks(sessions))


def _catalog(products: DataFrame) -> DataFrame:
    languages = F.create_map(*[F.lit(word) for pair in _LANGUAGES.items() for word in pair])
    facts = [_given(name) for name in ("brand", "author", "color", "size", "material", "desc")]
    return products.select(
        F.col("id").alias("item_id"),
        "title",
        F.nullif(F.concat_ws(". ", *facts), F.lit("")).alias("description"),
        F.try_element_at(languages, F.col("locale")).alias("language"),
        F.sort_array(F.collect_set("locale").over(Window.partitionBy("id"))).alias("markets"),
    )


def _clicks(sessions: DataFrame) -> DataFrame:
    # One task reads the file (quoted line ends cannot be cut), so the id is the row's place in it on any cluster.
    # A list as numpy prints it, ['A' 'B'], over several lines where it is long; or as Python does, ['A', 'B'].
    past = F.regexp_extract_all("prev_items", F.lit(r"""['"]([^'"]+)['"]"""), F.lit(1))
    named = sessions.select(
        F.format_string("%s-%08d", "locale", F.monotonically_increasing_id()).alias("user_id"),
        F.col("locale").alias("market"),
        F.array_compact(F.concat(F.coalesce(past, F.array()), F.array("next_item"))).alias("chosen"),
    )
    start = F.lit(FIRST_DAY).cast("timestamp").cast("bigint")
    offset = F.pmod(F.xxhash64("user_id"), F.lit(DAYS * 86400))
    return named.select("user_id", "market", F.posexplode("chosen")).select(
        "user_id",
        F.col("col").alias("item_id"),
        F.timestamp_seconds(start + offset + 60 * F.col("pos")).alias("timestamp"),
        F.lit("click").alias("event"),
        "market",
    )


def _given(name: str) -> Column:
    return F.nullif(F.trim(name), F.lit(""))
