"""MIND news into the input layout, with xMIND's translations as further texts of the same items."""

from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from xlrec.datasets.layout import ImportSummary, cell_reader, path_exists, read_lines, write_layout
from xlrec.errors import InputError
from xlrec.kernels.text.text import canonical_language

_NEWS: Final = ("item_id", "category", "subcategory", "title", "description")
_BEHAVIORS: Final = ("impression_id", "user_id", "time", "history", "impressions")
_ABOUT: Final = (
    "a folder of MIND is expected, with news.tsv and behaviors.tsv in it or in its sub-folders (MINDsmall_train, "
    "MINDsmall_dev)"
)
_ABOUT_XMIND: Final = (
    "xMIND's folder is expected, with a folder per language and a news.tsv (id, title, abstract) in it or one below: "
    "xMIND/ron/news.tsv or xMIND/ron/xMINDsmall_train/news.tsv"
)


def import_mind(spark: SparkSession, source: str, out: str, translations: str | None = None) -> ImportSummary:
    """Replaces out/catalog and out/interactions from MIND.

    Clicked impressions become events `click` at the time of their impression; those not clicked are left out. The
    clicks of a history have no times: they get one hour each before the user's first impression, in their order (the
    last of n one hour before it, the first n hours). A user who is in several splits has the history of the first.

    `source` holds one split or several; `translations` is the folder of xMIND, whose texts join the news by id, further
    rows in their folder's language.

    Raises:
        InputError: A file is missing; whoever unpacked the sets mends it.
    """
    # Splits repeat news; of two versions the lesser is taken, whatever the order of the files.
    split = "" if path_exists(spark, f"{source}/news.tsv") else "*/"
    rows = read_lines(spark, source, f"{split}news.tsv", _NEWS, _ABOUT)
    news = _one_of_each(rows, ["item_id"]).withColumn(
        "categories", F.array_compact(F.array_distinct(F.array("category", "subcategory")))
    )
    catalog = news.select("item_id", F.lit("en").alias("language"), "title", "description", "categories")
    if translations is not None:
        texts = _translations(spark, translations)
        joined = texts.join(news.select("item_id", "categories"), "item_id")
        catalog = catalog.unionByName(joined.select(*catalog.columns))
    behaviors = read_lines(spark, source, f"{split}behaviors.tsv", _BEHAVIORS, _ABOUT)
    return write_layout(out, catalog, _clicks(behaviors))


def _clicks(behaviors: DataFrame) -> DataFrame:
    timed = behaviors.withColumn("time", F.try_to_timestamp("time", F.lit("M/d/yyyy h:mm:ss a")))
    shown = timed.select("user_id", F.col("time").alias("timestamp"), F.explode(_words("impressions")).alias("shown"))
    clicked = shown.where(F.col("shown").endswith("-1")).select(
        "user_id", F.regexp_replace("shown", "-1$", "").alias("item_id"), "timestamp"
    )
    first = timed.groupBy("user_id").agg(F.min(F.struct("time", "impression_id", "history")).alias("first"))
    n = F.size(_words("first.history"))
    past = first.select("user_id", "first.time", n.alias("n"), F.posexplode(_words("first.history"))).select(
        "user_id",
        F.col("col").alias("item_id"),
        (F.col("time") - F.make_dt_interval(hours=F.col("n") - F.col("pos"))).alias("timestamp"),
    )
    return past.unionByName(clicked).withColumn("event", F.lit("click"))


def _words(column: str) -> Column:
    """The ids of a list that spaces separate; none where it is null."""
    return F.filter(F.split(F.coalesce(F.col(column), F.lit("")), " +"), lambda word: word != "")


def _translations(spark: SparkSession, folder: str) -> DataFrame:
    if not (path_exists(spark, f"{folder}/*/news.tsv") or path_exists(spark, f"{folder}/*/*/news.tsv")):
        raise InputError(f"news.tsv is in no folder of {folder}: {_ABOUT_XMIND}")
    reader = cell_reader(spark, ("item_id", "title", "description"))
    lines = reader.options(recursiveFileLookup=True, pathGlobFilter="news.tsv").csv(folder)
    path = F.col("_metadata.file_path")
    direct = F.nullif(F.regexp_extract(path, r"/([A-Za-z]{2,3})/news\.tsv$", 1), F.lit(""))
    above = F.regexp_extract(path, r"/([A-Za-z]{2,3})/[^/]+/news\.tsv$", 1)
    # Folders are named in ISO 639-3; BCP 47 prefers the shortest code.
    shortest = F.udf(lambda code: canonical_language(code) or code)
    rows = lines.select("*", shortest(F.lower(F.coalesce(direct, above))).alias("language"))
    return _one_of_each(rows, ["item_id", "language"])


def _one_of_each(rows: DataFrame, key: list[str]) -> DataFrame:
    rest = [name for name in rows.columns if name not in key]
    return rows.groupBy(*key).agg(F.min(F.struct(*rest)).alias("row")).select(*key, "row.*")
