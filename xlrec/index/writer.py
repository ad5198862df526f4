"""Makes the folder that `xlrec.index.items` opens: from DataFrames with Spark's tasks, or from arrays without Spark.

Tasks write pieces, as `xlrec.runtime.files` says; the driver joins them on its disk. Only the vocabularies (markets,
languages, categories) and the row count reach its memory.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.index.files import Spec, finish, write_items, write_market, write_neighbours
from xlrec.index.items import META
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
    item_vectors: "DataFrame",
    neighbours: "DataFrame",
    popularity: "DataFrame",
    *,
    dim: int,
    n_neighbours: int | None = None,
    shard_rows: int = SHARD_ROWS,
) -> None:
    """Writes an index folder with Spark's tasks; an older index in it does not open from the start on.

    Args:
        files: The folder.
        items: `tables.ITEMS`.
        item_vectors: item_num int, vector binary (dim little-endian float32); items without one get a zero row.
        neighbours: `tables.NEIGHBOURS`.
        popularity: `tables.POPULARITY`.
        dim: Numbers in a vector.
        n_neighbours: Best neighbours that an item keeps in each market; None: all.
        shard_rows: Items per shard file.

    Raises:
        LakeError: item_nums are not 0..n-1, or a vector has another dimension.
    """
    from pyspark.sql import functions as F

    spec = _spec(files.folder, items, popularity, dim, shard_rows)
    _clear(files.folder)
    rows = items.select(*_COLUMNS).join(item_vectors.select("item_num", "vector"), "item_num", "left")
    shard = F.floor(F.col("item_num") / F.lit(spec.shard_rows)).cast("int").alias("shard")

    def items_of(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        return files.written(lambda folder: write_items(spec.at(folder), key[0].as_py(), table))

    def neighbours_of(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        market, shard = (part.as_py() for part in key)
        return files.written(lambda folder: write_neighbours(spec.at(folder), market, shard, table, n_neighbours))

    def market_of(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        return files.written(lambda folder: write_market(spec.at(folder), key[0].as_py(), table))

    files.collect(rows.groupBy(shard).applyInArrow(items_of, PARTS))
    files.collect(neighbours.groupBy("market", shard).applyInArrow(neighbours_of, PARTS))
    files.collect(popularity.groupBy("market").applyInArrow(market_of, PARTS))
    finish(spec)


def write_arrays(
    folder: str | Path,
    *,
    item_ids: Sequence[str],
    vectors: NDArray[Any],
    languages: Sequence[Sequence[str]] | None = None,
    categories: Sequence[Sequence[str]] | None = None,
    markets: Sequence[Sequence[str] | None] | None = None,
    available: Sequence[bool] | None = None,
    neighbours: Sequence[tuple[int, int, float] | tuple[str, int, int, float]] = (),
    popularity: Sequence[tuple[str, int, float]] = (),
    shard_rows: int = SHARD_ROWS,
) -> None:
    """Writes an index folder from arrays in this process, as `write_index` does from tables.

    Args:
        folder: Made where it is missing.
        item_ids: n ids, row = item_num.
        vectors: (n, dim), cast to float32.
        languages: Per item; None: no item has a text.
        categories: Per item; None: none.
        markets: Per item, None = everywhere; None altogether: all everywhere.
        available: Per item; None: all.
        neighbours: (market, item_num, neighbour_num, score) rows in any order; without a market: of every market.
        popularity: (market, item_num, score) rows in any order.
        shard_rows: Items per shard file.
    """
    n_items = len(item_ids)
    matrix = np.ascontiguousarray(vectors, dtype="<f4")
    strings = pa.list_(pa.string())
    items = pa.table(
        {
            "item_id": pa.array(item_ids, pa.string()),
            "item_num": pa.array(range(n_items), pa.int32()),
            "languages": pa.array([[]] * n_items if languages is None else languages, strings),
            "categories": pa.array([[]] * n_items if categories is None else categories, strings),
            "markets": pa.array([None] * n_items if markets is None else markets, strings),
            "available": pa.array([True] * n_items if available is None else available, pa.bool_()),
            "vector": pa.array([row.tobytes() for row in matrix], pa.binary()),
        }
    )
    sold_in = {name for row in markets or () for name in row or ()} | {market for market, _, _ in popularity}
    sold_in |= {str(row[0]) for row in neighbours if len(row) > 3}
    spec = Spec(
        folder=str(folder),
        n_items=n_items,
        dim=matrix.shape[1],
        shard_rows=shard_rows,
        languages=tuple(sorted({name for row in languages or () for name in row})),
        categories=tuple(sorted({name for row in categories or () for name in row})),
        markets=tuple(sorted(sold_in | {UNKNOWN_MARKET})),
    )
    _clear(spec.folder)
    for shard in range(spec.n_shards):
        first = shard * shard_rows
        write_items(spec, shard, items.slice(first, shard_rows))
        for market in spec.markets:
            mine = (row for row in neighbours if first <= row[-3] < first + shard_rows)
            pairs = [row[-3:] for row in mine if row[:-3] in ((), (market,))]
            near = _columns(pairs, ("item_num", "neighbour_num", "score"), (0, 0, 0.0))
            write_neighbours(spec, market, shard, near)
    for market in spec.markets:
        scores = [row for row in popularity if row[0] == market]
        write_market(spec, market, _columns(scores, ("market", "item_num", "score"), ("", 0, 0.0)))
    finish(spec)


def _spec(folder: str, items: "DataFrame", popularity: "DataFrame", dim: int, shard_rows: int) -> Spec:
    from pyspark.sql import functions as F

    row = items.agg(F.count("*").alias("n_items"), F.max("item_num").alias("last")).first()
    n_items, last = (0, None) if row is None else (row["n_items"], row["last"])
    if n_items and last != n_items - 1:
        raise LakeError(f"items has {n_items} rows and the highest item_num {last}: prepare must number them 0..n-1")
    sold_in = items.select(F.explode("markets").alias("name")).union(popularity.select("market"))
    return Spec(
        folder=folder,
        n_items=n_items,
        dim=dim,
        shard_rows=shard_rows,
        languages=_vocabulary(items.select(F.explode("languages"))),
        categories=_vocabulary(items.select(F.explode("categories"))),
        markets=tuple(sorted({UNKNOWN_MARKET, *_vocabulary(sold_in)})),
    )


def _vocabulary(names: "DataFrame") -> tuple[str, ...]:
    """The distinct non-null names, sorted by code point; few, so that they fit the driver."""
    found = names.distinct().limit(MAX_VOCABULARY + 1).collect()
    if len(found) > MAX_VOCABULARY:
        raise LakeError(f"{names.columns[0]} has more than {MAX_VOCABULARY} distinct values: check the catalogue")
    return tuple(sorted(row[0] for row in found if row[0] is not None))


def _clear(folder: str) -> None:
    """Makes an older index unreadable first, then empties the folder's pieces."""
    (Path(folder) / META).unlink(missing_ok=True)
    shutil.rmtree(Path(folder) / "pieces", ignore_errors=True)
    Path(folder).mkdir(parents=True, exist_ok=True)


def _columns(rows: Sequence[tuple[Any, ...]], names: tuple[str, ...], kinds: tuple[Any, ...]) -> pa.Table:
    types = {str: pa.string(), int: pa.int32(), float: pa.float64()}
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    return pa.table({n: pa.array(c, types[type(k)]) for n, c, k in zip(names, columns, kinds, strict=True)})
