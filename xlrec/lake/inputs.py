"""The Parquet inputs in the layout's columns: a pinned list of files, an explicit schema, no silent nulls."""

import difflib
import re
from collections.abc import Mapping
from functools import reduce
from typing import Final

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, StringType, StructField, StructType, TimestampType

from xlrec.errors import InputError
from xlrec.lake.input_files import list_files

#: Column of values that are not of the layout's type, such as `timestamp 'noon'`: rejected rows, not silent nulls.
BAD: Final = "_bad"

_INTEGERS: Final = ("tinyint", "smallint", "int", "bigint")
#: Types (simple strings) that are read as each layout type without a loss; others stop the job.
_ALLOWED: Final = {
    "string": ("string", *_INTEGERS),
    "double": ("double", "float", "decimal", *_INTEGERS, "string"),
    "timestamp": ("timestamp", "timestamp_ntz", "date", "bigint", "int", "string"),
    "boolean": ("boolean", *_INTEGERS),
    "array<string>": ("array<string>", *(f"array<{kind}>" for kind in _INTEGERS)),
}
#: Usual other names of the columns; the nearest present one is proposed.
_ALSO: Final = {
    "item_id": ("asin", "product_id", "movie_id", "news_id", "sku", "article_id"),
    "user_id": ("customer_id", "visitor_id", "reviewer_id", "session_id", "member_id"),
    "timestamp": ("time", "event_time", "ts", "datetime", "created_at", "date"),
    "title": ("name", "product_title", "headline", "label"),
}
#: Epochs up to each bound are seconds, milliseconds or microseconds: (bound, microseconds per unit); above it
#: nanoseconds. From 1973 to 5138 (nanoseconds: to 2262) the four do not overlap.
_EPOCH_STEPS: Final = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
_SPARK_ERRORS: Final = (PySparkException, Py4JJavaError)
#: Files whose schemas are read one by one where they do not merge.
_MAX_LOOKED_INTO: Final = 1000


def read_input(
    spark: SparkSession, path: str, schema: StructType, columns: dict[str, str], name: str,
    options: Mapping[str, str] | None = None,
) -> DataFrame:  # fmt: skip
    """The input in the layout's columns and types, and `_bad`: its unreadable values, `[]` in a good row.

    Timestamps without a zone are UTC; integers are epochs in s, ms, µs or ns, by their size. Files are listed once:
    later ones are not read.

    Args:
        spark: The session; its time zone is UTC.
        path: File, folder (flat or Hive partitions, read recursively) or glob.
        schema: Layout of the input (`xlrec.tables`).
        columns: Layout name to input name, where they differ.
        name: catalog, interactions or users.
        options: Command-line options for messages, by layout name and `name`. None: the config names both.

    Raises:
        InputError: no file, no Parquet, a required column is missing, or a type that cannot be read as the layout's.
    """
    files = list_files(spark, path, name, (options or {}).get(name))
    # pandas writes nanoseconds, which Spark refuses unless told to read them as integers; harmless to all else.
    spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")
    reader = spark.read.option("__globPaths__", "false")  # a `[` in a listed name is no pattern
    partitions = {part.split("=", 1)[0] for file in files for part in file.name.split("/")[:-1] if "=" in part}
    if partitions:
        where = files[0].path
        reader = reader.option("basePath", where[: len(where) - len(files[0].name)])
    parts = []
    for seen, paths in _by_schema(reader, [file.path for file in files], f"{name} at {path}"):
        wanted = {columns.get(field.name, field.name): field.dataType for field in schema.fields}
        explicit = StructType([_as_read(field, wanted, partitions) for field in seen.fields if field.name in wanted])
        raw = reader.schema(explicit if len(explicit) else seen).parquet(*paths)
        parts.append(conform_input(raw, schema, columns, name, seen.names, options))
    return reduce(DataFrame.unionByName, parts)


def _by_schema(reader: DataFrameReader, paths: list[str], where: str) -> list[tuple[StructType, list[str]]]:
    """The files in groups whose schemas Spark can merge: one, unless they disagree on a column's type (int, long)."""
    merging = reader.option("mergeSchema", "true")
    try:
        return [(merging.parquet(*paths).schema, paths)]
    except _SPARK_ERRORS as error:
        if len(paths) > _MAX_LOOKED_INTO:
            raise InputError(f"{where}: of {len(paths)} files some are damaged or disagree on column types") from error
    groups: dict[str, tuple[StructType, list[str]]] = {}
    for path in paths:
        try:
            seen = merging.parquet(path).schema
        except _SPARK_ERRORS as error:
            raise InputError(f"{where} cannot be read: {path} is damaged or no Parquet") from error
        groups.setdefault(seen.json(), (seen, []))[1].append(path)
    return list(groups.values())


def _as_read(field: StructField, wanted: dict[str, DataType], partitions: set[str]) -> StructField:
    # Spark guesses partition types: market=NA is text, but item_id=007 would become 7.
    text = field.name in partitions and isinstance(wanted[field.name], StringType)
    return StructField(field.name, StringType() if text else field.dataType)


def conform_input(
    raw: DataFrame, schema: StructType, columns: dict[str, str], name: str, seen_names: list[str] | None = None,
    options: Mapping[str, str] | None = None,
) -> DataFrame:  # fmt: skip
    """Any DataFrame in the layout's columns and types, as `read_input`.

    Raises:
        InputError: as `read_input`.
    """
    unknown = sorted(set(columns) - set(schema.names))
    if unknown:
        raise InputError(
            f"columns.{name} maps {', '.join(unknown)}, which the layout has not: it has {', '.join(schema.names)}"
        )
    seen = {field.name: field.dataType for field in raw.schema.fields}
    chosen: list[Column] = []
    bad: list[Column] = []
    for field in schema.fields:
        source = columns.get(field.name, field.name)
        if source not in seen:
            if not field.nullable or field.name in columns:
                raise InputError(_missing(name, field.name, source, seen_names or list(seen), options))
            chosen.append(F.lit(None).cast(field.dataType).alias(field.name))
            continue
        value = F.col(f"`{source}`")
        cast = _cast(value, seen[source], field.dataType, f"{name}.{source}", field.name)
        chosen.append(cast.alias(field.name))
        if seen[source].simpleString() in ("string", "int") and not isinstance(field.dataType, StringType):
            shown = F.concat(F.lit(f"{source} '"), F.substring(value.cast("string"), 1, 80), F.lit("'"))
            bad.append(F.when(value.isNotNull() & cast.isNull(), shown))
    broken = F.array_compact(F.array(*bad)) if bad else F.array().cast("array<string>")
    return raw.select(*chosen, broken.alias(BAD))


def _cast(value: Column, seen: DataType, wanted: DataType, where: str, name: str) -> Column:
    kind = re.sub(r"\(.*\)", "", seen.simpleString())
    allowed = _ALLOWED[wanted.simpleString()]
    if kind == "void" or (kind == "int" and isinstance(wanted, ArrayType)):
        return F.lit(None).cast(wanted)  # pandas writes lists that are all missing so; Spark reads them as int
    if kind not in allowed:
        raise InputError(f"{where} has type {kind}; {name} may be {', '.join(allowed)}: write it as one of these")
    if isinstance(wanted, TimestampType) and kind in _INTEGERS:
        return _from_epoch(value.cast("bigint"))
    if isinstance(wanted, DoubleType):
        number = value.try_cast(wanted)
        return F.when(~F.isnan(number), number)  # pandas' NaN is a missing value
    return value if seen == wanted else value.try_cast(wanted)


def _from_epoch(value: Column) -> Column:
    # Whole thousands: as a double, 1.7e18 is not exact to the microsecond.
    micros: Column = F.round((value - F.pmod(value, F.lit(1000))) / 1000).cast("bigint")
    for below, factor in reversed(_EPOCH_STEPS):
        micros = F.when(value.between(-below, below), value * factor).otherwise(micros)
    return F.timestamp_micros(micros)


def _missing(name: str, field: str, source: str, seen: list[str], options: Mapping[str, str] | None) -> str:
    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    near = [real for real in sorted(seen) if plain(real) in {plain(known) for known in (field, *_ALSO.get(field, ()))}]
    near = near or difflib.get_close_matches(source, seen, n=1, cutoff=0.5)
    proposed = near[0] if near else "YOUR_COLUMN"
    fix = f"`columns: {{{name}: {{{field}: {proposed}}}}}` to the config"
    fix = fix if options is None else f"{options[field]} {proposed}"
    return f"{name} has no column {source}, which must give {field}; it has {', '.join(sorted(seen))}: add {fix}"
