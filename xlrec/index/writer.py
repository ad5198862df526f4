"""Makes the folder that `xlrec.index.items` opens, from DataFrames with Spark's tasks.

Tasks write pieces, as `xlrec.runtime.files` says; the driver joins them on its disk. Only the vocabularies (markets,
languages, categories) and the row count reach its memory.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from xlrec.errors import LakeError
from xlrec.index.files import PIECES, IndexSpec, finish_index, write_items, write_market, write_neighbours
from xlrec.index.vectors import META
from xlrec.kernels.base.names import UNKNOWN_MARKET
from xlrec.runtime.files import PARTS, Files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHARD_ROWS: Final = 65536
#: More distinct markets, languages or categories than this are a broken input, not a vocabulary.
MAX_VOCABULARY: Final = 1_000_000
_COLUMNS: Final = ("item_id", "item_num", "languages", "categories", "markets", "available")


def write_index(
    files: Files,
    items: "DataFrame",
    item_vectors: "DataFrame | None" = None,
    neighbours: "DataFrame | None" = None,
    popularity: "DataFrame | None" = None,
    *,
    dim: int,
    n_neighbours: int | None = None,
    shard_rows: int = SHARD_ROWS,
) -> None:
    """Writes an index folder with Spark's tasks; an older index in it does not open from the start on.

    `items` has item_id and item_num, and any of the other columns of `tables.ITEMS`; see `write_items`. `item_vectors`
    has item_num and vector, dim little-endian float32 numbers; other items get a zero row. `neighbours` is
    `tables.NEIGHBOURS`, of which the best `n_neighbours` of an item in each market are kept, None: all; `popularity` is
    `tables.POPULARITY`.

    Raises:
        LakeError: item_nums are not 0..n-1, or a vector has another dimension.
    """
    from pyspark.sql import functions as F

    spec = _spec(files.folder, items, popularity, dim, shard_rows)
    (Path(files.folder) / META).unlink(missing_ok=True)  # an older index becomes unreadable first
    shutil.rmtree(Path(files.folder) / PIECES, ignore_errors=True)
    Path(files.folder).mkdir(parents=True, exist_ok=True)
    rows = items.select(*(name for name in _COLUMNS if name in items.columns))
    if item_vectors is not None:
        rows = rows.join(item_vectors.select("item_num", "vector"), "item_num", "left")
    shard = F.floor(F.col("item_num") / spec.shard_rows).cast("int").alias("shard")

    def write_each(rows: "DataFrame", keys: list[Any], write: Callable[..., None]) -> None:
        def written(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
            values = [part.as_py() for part in key]
            return files.written_parts(lambda folder: write(spec.at(folder), *values, table))

        files.collect_parts(rows.groupBy(*keys).applyInArrow(written, PARTS))

    write_each(rows, [shard], write_items)
    if neighbours is not None:
        write_each(neighbours, ["market", shard], partial(write_neighbours, most=n_neighbours))
    if popularity is not None:
        write_each(popularity, ["market"], write_market)
    finish_index(spec)


def _spec(folder: str, items: "DataFrame", popularity: "DataFrame | None", dim: int, shard_rows: int) -> IndexSpec:
    from pyspark.sql import functions as F

    row = items.agg(F.count("*").alias("n_items"), F.max("item_num").alias("last")).first()
    n_items, last = (0, None) if row is None else (row["n_items"], row["last"])
    if n_items and last != n_items - 1:
        raise LakeError(f"items has {n_items} rows and the highest item_num {last}: prepare must number them 0..n-1")
    languages, categories, markets = (
        _vocabulary(items.select(F.explode(kind)) if kind in items.columns else None)
        for kind in ("languages", "categories", "markets")
    )
    popular_in = _vocabulary(None if popularity is None else popularity.select("market"))
    sold_in = tuple(sorted({UNKNOWN_MARKET, *markets, *popular_in}))
    return IndexSpec(folder, n_items, dim, shard_rows, languages, categories, sold_in)


def _vocabulary(names: "DataFrame | None") -> tuple[str, ...]:
    """The distinct non-null names, sorted by code point; few, so that they fit the driver."""
    if names is None:
        return ()
    rows = names.distinct().limit(MAX_VOCABULARY + 1).collect()
    if len(rows) > MAX_VOCABULARY:
        raise LakeError(f"{names.columns[0]} has more than {MAX_VOCABULARY} distinct values: check the catalogue")
    return tuple(sorted(row[0] for row in rows if row[0] is not None))
