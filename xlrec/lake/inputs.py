"""Reads the Parquet inputs: a pinned list of files, an explicit schema, no silent nulls."""

import difflib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from xlrec.errors import InputError

#: Column of what could not be read as the layout's type, such as `timestamp 'noon'`: rejected rows, not silent nulls.
BAD: Final = "_bad"

_INTEGERS: Final = ("tinyint", "smallint", "int", "bigint")
#: Types (simple strings) that are read as each layout type without a loss; others stop the job.
_ALLOWED: Final[dict[type[DataType], tuple[str, ...]]] = {
    StringType: ("string", *_INTEGERS),
    DoubleType: ("double", "float", "decimal", *_INTEGERS, "string"),
    TimestampType: ("timestamp", "timestamp_ntz", "date", "bigint", "int", "string"),
    BooleanType: ("boolean", *_INTEGERS),
    ArrayType: ("array<string>", *(f"array<{kind}>" for kind in _INTEGERS)),
}
#: Names under which the columns often come; the nearest one seen is proposed.
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
_SUFFIXES: Final = (".parquet", ".parq", ".pq")


@dataclass(frozen=True)
class InputFile:
    """One Parquet file of an input."""

    path: str
    size: int
    name: str
    """Path below the input's root, with its Hive partitions."""


def fingerprint(files: Iterable[InputFile]) -> str:
    """SHA-256 over names (below the root) and sizes: the same wherever the folder lies."""
    lines = sorted(f"{file.name}\t{file.size}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def list_files(spark: SparkSession, path: str, name: str, named_by: str | None = None) -> list[InputFile]:
    """The Parquet files at a path (file, folder or glob), sorted by path; hidden and `_` files are not data.

    `named_by` is what the user corrects where it is not `inputs.NAME in the config`.

    Raises:
        InputError: nothing is there, no Parquet file is, or the folder is a Delta table.
    """
    context = spark.sparkContext
    jvm: Any = context._jvm
    pattern = jvm.org.apache.hadoop.fs.Path(path)
    system = pattern.getFileSystem(context._jsc.hadoopConfiguration())
    root = _root(system.makeQualified(pattern).toString())
    found: list[InputFile] = []
    others: list[str] = []
    for match in system.globStatus(pattern) or []:
        for status in _files_below(system, match):
            full = str(status.getPath().toString())
            below = full.removeprefix(root).strip("/") if full != root else full.rsplit("/", 1)[-1]
            parts = below.split("/")
            if "_delta_log" in parts:
                raise InputError(
                    f"{name} at {path} is a Delta table, whose folder holds old rows too: write it out as Parquet"
                )
            if any(part.startswith(("_", ".")) and "=" not in part for part in parts) or not status.getLen():
                continue
            if "." in parts[-1] and not parts[-1].endswith(_SUFFIXES):
                others.append(parts[-1])
            else:
                found.append(InputFile(full, int(status.getLen()), below))
    if not found:
        seen = f"; seen are {', '.join(sorted(others)[:3])}" if others else ""
        mend = f"inputs.{name} in the config"
        raise InputError(f"there is no Parquet file for {name} at {path}{seen}: correct {named_by or mend}")
    return sorted(found, key=lambda file: file.path)


def _files_below(system: Any, status: Any) -> Iterator[Any]:
    """Status of every file at or below a path: object stores list flat, a local disk folder by folder.

    Hadoop's flat listing of a local disk starts a process per file, to learn an owner that nobody asks for.
    """
    if system.getUri().getScheme() == "file":
        found = system.listStatus(status.getPath()) if status.isDirectory() else [status]
        for one in found:
            yield from _files_below(system, one) if one.isDirectory() else (one,)
        return
    files = system.listFiles(status.getPath(), True)
    while files.hasNext():
        yield files.next()


def _root(path: str) -> str:
    """The path as far as it is no glob: where Hive partitions begin."""
    parts = path.split("/")
    fixed = next((place for place, part in enumerate(parts) if re.search(r"[*?\[{]", part)), len(parts))
    return "/".join(parts[:fixed])


def read_input(
    spark: SparkSession,
    path: str,
    schema: StructType,
    columns: dict[str, str],
    name: str,
    options: Mapping[str, str] | None = None,
) -> DataFrame:
    """The input in the layout's columns and types, and `_bad`: the values that could not be read, `[]` in a good row.

    Timestamps without a zone are UTC; integers are epochs in s, ms, µs or ns, told by their size. Files are listed
    once: what arrives later is not read.

    Args:
        spark: The session; its time zone is UTC.
        path: File, folder (flat or Hive partitions, read recursively) or glob.
        schema: Layout of the input (`xlrec.tables`).
        columns: Layout name to input name, where they differ.
        name: catalog, interactions or users.
        options: Layout name to the command-line option that names its column, and name to the path's; None: the config
            does.

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
        parts.append(conform(raw, schema, columns, name, seen.names, options))
    return reduce(DataFrame.unionByName, parts)


def _by_schema(reader: DataFrameReader, paths: list[str], where: str) -> list[tuple[StructType, list[str]]]:
    """The files in groups whose schemas Spark can merge: one, unless they disagree on a column's type (int, long)."""
    try:
        return [(_merged(reader, paths), paths)]
    except _SPARK_ERRORS as error:
        if len(paths) > _MAX_LOOKED_INTO:
            raise InputError(f"{where}: of {len(paths)} files some are damaged or disagree on column types") from error
    groups: dict[str, tuple[StructType, list[str]]] = {}
    for path in paths:
        try:
            seen = _merged(reader, [path])
        except _SPARK_ERRORS as error:
            raise InputError(f"{where} cannot be read: {path} is damaged or no Parquet") from error
        groups.setdefault(seen.json(), (seen, []))[1].append(path)
    return list(groups.values())


def _merged(reader: DataFrameReader, paths: list[str]) -> StructType:
    return reader.option("mergeSchema", "true").parquet(*paths).schema


def _as_read(field: StructField, wanted: dict[str, DataType], partitions: set[str]) -> StructField:
    # Spark guesses partition types: market=NA is text, but item_id=007 would become 7.
    text = field.name in partitions and isinstance(wanted[field.name], StringType)
    return StructField(field.name, StringType() if text else field.dataType)


def conform(
    raw: DataFrame,
    schema: StructType,
    columns: dict[str, str],
    name: str,
    seen_names: list[str] | None = None,
    options: Mapping[str, str] | None = None,
) -> DataFrame:
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
    allowed = _ALLOWED[type(wanted)]
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
    found = near[0] if near else "YOUR_COLUMN"
    mend = (
        f"`columns: {{{name}: {{{field}: {found}}}}}` to the config" if options is None else f"{options[field]} {found}"
    )
    return f"{name} has no column {source}, which must give {field}; it has {', '.join(sorted(seen))}: add {mend}"
