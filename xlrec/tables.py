"""Every table of the lake in flow order: schema with comments, partitioning, producer and consumers.

`tables.json` declares them: a column is its name, type, comment, and `required` where it is never null. A stage takes
and returns DataFrames in these schemas; `xlrec.lake.delta` refuses to write another one. `*_id` is the external string,
`*_num` a 0-based row number, timestamps are UTC.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from xlrec.kernels.base.names import FALLBACK as FALLBACK
from xlrec.kernels.base.names import SOURCES as SOURCES
from xlrec.kernels.base.names import UNKNOWN_LANGUAGE as UNKNOWN_LANGUAGE
from xlrec.kernels.base.names import UNKNOWN_MARKET as UNKNOWN_MARKET

_ATOMIC: Final = (
    BinaryType(), BooleanType(), DateType(), DoubleType(), IntegerType(), LongType(), StringType(), TimestampType(),
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One table of the lake: schema, partitions, producer and consumers."""

    name: str
    comment: str
    schema: StructType
    producer: str
    consumers: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    """Of Delta; no statistics of columns whose values are of all kinds in every file."""


# Inputs: Parquet that the user brings; `columns:` in the config maps other names onto these.
CATALOG: StructType
INTERACTIONS: StructType
USERS_INPUT: StructType
TRANSLATIONS_INPUT: StructType
# The lake.
REJECTS: Table
TEXTS: Table
ITEMS: Table
EVENTS: Table
USERS: Table
TRANSLATIONS: Table
UNTRANSLATED: Table
EMBEDDINGS: Table
LANGUAGE_PARTS: Table
NEIGHBOURS: Table
POPULARITY: Table
CANDIDATES: Table
RECOMMENDATIONS: Table
RUNS: Table
RELEASES: Table
HOLDOUT: Table
METRICS: Table
# The similarity program: tables of any texts, outside of the lake's nights.
SIMILARITY_INPUT: StructType
SIMILARITIES: Table


if not TYPE_CHECKING:  # type checkers know the names above, and no other

    def __getattr__(name: str) -> Any:
        """A table or the layout of an input, made at its first use: one object a name."""
        if name not in _declared():
            raise AttributeError(f"xlrec.tables has no table {name}; it has {', '.join(_declared())}")
        return _table_of(name)


@lru_cache
def _declared() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(files("xlrec").joinpath("tables.json").read_text(encoding="utf-8"))
    return tables


@lru_cache
def _table_of(name: str) -> Any:
    facts: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in _declared()[name].items()
    }
    columns = facts.pop("columns")
    schema = _table_of(columns).schema if isinstance(columns, str) else _struct(columns)
    return Table(schema=schema, **facts) if facts else schema


def _struct(columns: Sequence[Any]) -> StructType:
    return StructType(
        [
            StructField(name, _data_type(kind), "required" not in more, {"comment": comment})
            for name, kind, comment, *more in columns
        ]
    )


def _data_type(kind: str | Sequence[Any]) -> DataType:
    """Type of a simple string such as map<string,double>; of a struct, its columns stand for it."""
    if not isinstance(kind, str):
        return _struct(kind)
    outer, _, inner = kind.removesuffix(">").partition("<")
    if outer == "array":
        return ArrayType(_data_type(inner))
    if outer == "map":
        key, value = inner.split(",")
        return MapType(_data_type(key), _data_type(value))
    return next(atomic for atomic in _ATOMIC if atomic.simpleString() == outer)
