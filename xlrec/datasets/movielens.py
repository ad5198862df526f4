"""MovieLens into the input layout: films as items, ratings as events."""

from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from xlrec.datasets.layout import ImportSummary, path_exists, read_csv, read_lines, write_layout

_ABOUT: Final = (
    "the folder of a MovieLens set is expected, with movies.csv (movieId,title,genres) and ratings.csv "
    "(userId,movieId,rating,timestamp), or movies.dat and ratings.dat as in ml-1m"
)
_NO_GENRE: Final = "(no genres listed)"


def import_movielens(spark: SparkSession, source: str, out: str) -> ImportSummary:
    """Replaces out/catalog and out/interactions from a MovieLens folder.

    Titles are English and keep their year; genres become categories; the distinct tags of a film, in lower case and
    sorted, become its description where the set has a tags.csv. A rating is one event `rating` with its stars as value.

    `source` is the unpacked folder of ml-latest-small, ml-latest, ml-25m, ml-32m (csv) or ml-1m, ml-10m (dat).

    Raises:
        InputError: A file or a column is missing; whoever unpacked the set mends it.
    """
    movies, ratings, tags = _read(spark, source)
    genres = F.filter(F.split("genres", r"\|"), lambda genre: ~genre.isin("", _NO_GENRE))
    catalog = movies.join(_descriptions(tags), "movieId", "left") if tags is not None else movies
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


def _read(spark: SparkSession, source: str) -> tuple[DataFrame, DataFrame, DataFrame | None]:
    movie, rating = ("movieId", "title", "genres"), ("userId", "movieId", "rating", "timestamp")
    if not path_exists(spark, f"{source}/movies.csv") and path_exists(spark, f"{source}/movies.dat"):
        parts = ("::", "ISO-8859-1")
        movies = read_lines(spark, source, "movies.dat", movie, _ABOUT, *parts)
        return movies, read_lines(spark, source, "ratings.dat", rating, _ABOUT, *parts), None
    has_tags = path_exists(spark, f"{source}/tags.csv")
    return (
        read_csv(spark, source, "movies.csv", movie, _ABOUT),
        read_csv(spark, source, "ratings.csv", rating, _ABOUT),
        read_csv(spark, source, "tags.csv", ("movieId", "tag"), _ABOUT) if has_tags else None,
    )


def _descriptions(tags: DataFrame) -> DataFrame:
    words = F.nullif(F.lower(F.trim("tag")), F.lit(""))
    return tags.groupBy("movieId").agg(F.array_join(F.sort_array(F.collect_set(words)), ", ").alias("description"))
