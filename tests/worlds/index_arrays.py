"""An item index from arrays in this process, as `xlrec.index.writer.write_index` makes it from tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.index.files import IndexSpec, finish_index, write_items, write_market, write_neighbours
from xlrec.index.vectors import META
from xlrec.index.writer import SHARD_ROWS
from xlrec.kernels.base.names import UNKNOWN_MARKET


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
    matrix = np.ascontiguousarray(vectors, dtype="<f4")
    lists = {"languages": languages, "categories": categories, "markets": markets}
    columns: dict[str, Any] = {"item_id": pa.array(item_ids, pa.string())}
    columns["item_num"] = pa.array(range(len(item_ids)), pa.int32())
    columns |= {name: pa.array(rows, pa.list_(pa.string())) for name, rows in lists.items() if rows is not None}
    if available is not None:
        columns["available"] = pa.array(available, pa.bool_())
    columns["vector"] = pa.array([row.tobytes() for row in matrix], pa.binary())
    items = pa.table(columns)
    sold_in = {name for row in markets or () for name in row or ()} | {market for market, _, _ in popularity}
    sold_in |= {str(row[0]) for row in neighbours if len(row) > 3}
    names = [tuple(sorted({name for row in rows or () for name in row})) for rows in (languages, categories)]
    spec = IndexSpec(
        str(folder), len(item_ids), matrix.shape[1], shard_rows, *names, tuple(sorted(sold_in | {UNKNOWN_MARKET}))
    )
    (Path(folder) / META).unlink(missing_ok=True)
    Path(folder).mkdir(parents=True, exist_ok=True)
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
    finish_index(spec)


def _columns(rows: Sequence[tuple[Any, ...]], names: tuple[str, ...], kinds: tuple[Any, ...]) -> pa.Table:
    types = {str: pa.string(), int: pa.int32(), float: pa.float64()}
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    return pa.table({n: pa.array(c, types[type(k)]) for n, c, k in zip(names, columns, kinds, strict=True)})
