"""MovieLens into the input layout: films as items, ratings as events."""

from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from xlrec.datasets.layout import ImportSummary, path_exists, read_csv, read_lines, write_layout

_ABOUT: Final = (
    "the folder of a MovieLens set is expected, with movies.csv (movieId,title,genres) and ratings.csv "
    "(userId,movieId,rating,timestamp), or movies.dat and ratings.dat as in ml-1m"
)
_RATING: Final = ("userId", "movieId", "rating", "timestamp")
_NO_GENRE: Final = "(no genres listed)"


def import_movielens(spark: SparkSession, source: str, out: str) -> ImportSummary:
    """Replaces out/catalog and out/interactions from a MovieLens folder.

    Titles are English and keep their year; genres become categories; the distinct tags of a film, in lower case and
    sorted, become its description where the set has a tags.csv. A rating is one event `rating` with its stars as value.

    `source` is the unpacked folder of ml-latest-small, ml-latest, ml-25m, ml-32m (csv) or ml-1m, ml-10m (dat).

    Raises:
        InputError: A file or a column is missing; whoever unpacked the set mends it.
    """
    is_old = not path_exists(spark, f"{source}/movies.csv") and path_exists(spark, f"{source}/movies.dat")

    def read(name: str, *columns: str) -> DataFrame:
        if is_old:
            return read_lines(spark, source, f"{name}.dat", columns, _ABOUT, "::", "ISO-8859-1")
        return read_csv(spark, source, f"{name}.csv", columns, _ABOUT)

    catalog, ratings = read("movies", "movieId", "title", "genres"), read("ratings", *_RATING)
    genres = F.filter(F.split("genres", r"\|"), lambda genre: ~genre.isin("", _NO_GENRE))
    if not is_old and path_exists(spark, f"{source}/tags.csv"):
        catalog = catalog.join(_descriptions(read("tags", "movieId", "tag")), "movieId", "left")
    catalog = catalog.withColumns(
        {"item_id": F.col("movieId"), "language": F.lit("en"), "categories": F.coalesce(genres, F.array())}
    )
    interactions = ratings.select(
        F.col("userId").alias("user_id"),
        F.col("movieId").alias("item_id"),
        F.timestamp_seconds(F.col("timestamp").try_cast("bigint")).alias("timestamp"),
        F.lit("rating").alias("event"),
        F.col("rating").try_cast("double").alias("value"),
    )
    return write_layout(out, catalog, interactions)


def _descriptions(tags: DataFrame) -> DataFrame:
    words = F.nullif(F.lower(F.trim("tag")), F.lit(""))
    return tags.groupBy("movieId").agg(F.array_join(F.sort_array(F.collect_set(words)), ", ").alias("description"))
