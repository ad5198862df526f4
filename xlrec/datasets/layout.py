"""Text files of public data sets as DataFrames, and the input layout written from them: shared by the importers."""

from typing import NamedTuple

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F

from xlrec.errors import InputError
from xlrec.tables import CATALOG, INTERACTIONS


class ImportSummary(NamedTuple):
    """Rows that an import wrote, by table of the input layout."""

    out: str
    rows: dict[str, int]

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.out}: " + ", ".join(f"{table} {n:,} rows" for table, n in self.rows.items())


def read_csv(
    spark: SparkSession, source: str, name: str, columns: tuple[str, ...], about: str, *, multi_line: bool = False
) -> DataFrame:
    """A comma-separated file with a header, all columns as strings, cut to `columns`, whatever their order.

    Values may hold commas and doubled quotes, with `multi_line` also line ends: one task then reads the file, in order.

    Raises:
        InputError: The file or a column is missing; `about` says what the file is.
    """
    _require_file(spark, source, name, about)
    reader = spark.read.options(header=True, quote='"', escape='"', multiLine=multi_line, inferSchema=False)
    frame = reader.csv(f"{source}/{name}")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(
            f"{source}/{name} has the columns {', '.join(frame.columns)}, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing: {about}"
        )
    return frame.select(*columns)


def read_lines(
    spark: SparkSession, source: str, name: str, columns: tuple[str, ...], about: str, mark: str = "\t",
    encoding: str = "UTF-8",
) -> DataFrame:  # fmt: skip
    """Rows of a file without header or quotes, split at `mark`, as strings; missing values are null.

    Raises:
        InputError: The file is missing; `about` says what it is.
    """
    _require_file(spark, source, name, about)
    return cell_reader(spark, columns, mark).option("encoding", encoding).csv(f"{source}/{name}")


def cell_reader(spark: SparkSession, columns: tuple[str, ...], mark: str = "\t") -> DataFrameReader:
    """Reads values by position, split at `mark`, without quotes; empty ones are null."""
    reader = spark.read.options(sep=mark, quote="", ignoreLeadingWhiteSpace=True, ignoreTrailingWhiteSpace=True)
    return reader.schema(", ".join(f"{name} string" for name in columns))


def path_exists(spark: SparkSession, path: str) -> bool:
    """Whether Spark finds anything under a path or glob."""
    try:
        spark.read.text(path)
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return False
    return True


def write_layout(out: str, catalog: DataFrame, interactions: DataFrame) -> ImportSummary:
    """Replaces out/catalog and out/interactions; columns that a frame does not have become null."""
    rows = {}
    for name, frame, schema in (("catalog", catalog, CATALOG), ("interactions", interactions, INTERACTIONS)):
        path = f"{out}/{name}"
        columns = (
            (F.col(field.name) if field.name in frame.columns else F.lit(None)).cast(field.dataType).alias(field.name)
            for field in schema
        )
        frame.select(*columns).write.mode("overwrite").parquet(path)
        rows[name] = frame.sparkSession.read.parquet(path).count()
    return ImportSummary(out, rows)


def _require_file(spark: SparkSession, source: str, name: str, about: str) -> None:
    if not path_exists(spark, f"{source}/{name}"):
        raise InputError(f"{name} is not in {source}: {about}")
