"""The live lists for readers: in Spark, and as one line of SQL."""

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from xlrec.errors import LakeError
from xlrec.lake.delta import Lake
from xlrec.tables import RECOMMENDATIONS, RELEASES


def read_recommendations(spark: SparkSession, lake: str, release: int | None = None) -> DataFrame:
    """The live lists (schema: `xlrec contract`), or those of an older release: one row per user and rank.

    It stays whole while other runs go on: it holds one run, and a run's rows never change after its release.

    Raises:
        LakeError: the lake has no release (yet), or not this one.
    """
    opened = Lake(spark, lake)
    try:
        releases = opened.read_table(RELEASES)
        chosen = releases.where(F.col("release") == release) if release is not None else releases
        live = chosen.orderBy(F.desc("release")).first()
    except AnalysisException as error:
        raise LakeError(f"{lake} cannot be read as a lake: {error.getCondition()}") from error
    if live is None:
        raise LakeError(f"{lake} has no release {release if release is not None else 'yet: run `xlrec run`'}")
    rows = opened.read_table(RECOMMENDATIONS)
    return rows.where((F.col("run_date") == F.lit(live["run_date"])) & (F.col("run_id") == live["run_id"]))


def sql_for_readers(lake: str) -> str:
    """One SQL line that reads the live lists in anything that speaks Spark SQL and Delta."""
    return (  # printed for people, never run here
        f"SELECT r.* FROM delta.`{lake}/recommendations` r JOIN (SELECT max_by(struct(run_id, run_date), release) live "  # noqa: S608
        f"FROM delta.`{lake}/_releases`) ON r.run_date = live.run_date AND r.run_id = live.run_id"
    )
