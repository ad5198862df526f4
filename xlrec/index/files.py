"""Writers of the index's files: first a piece per shard, then the merge into whole arrays. Arrow and numpy, no Spark.

Each function writes files of its own through a rename, so that Spark may run it in any order, twice, or at once.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import feather

from xlrec.errors import EncoderError, LakeError
from xlrec.index.catalogue import words_for
from xlrec.index.vectors import LAYOUT, META
from xlrec.kernels.base.csr import first_entries, indptr_of
from xlrec.runtime.arrays import load_array, replace_file, save_array, save_array_parts

#: Folder in that of the index with what tasks wrote, until it is joined.
PIECES: Final = "pieces"
_STRINGS: Final = pa.list_(pa.string())
_OPTIONAL: Final[dict[str, Any]] = {
    "languages": _STRINGS, "categories": _STRINGS, "markets": _STRINGS, "available": pa.bool_(), "vector": pa.binary(),
}  # fmt: skip
#: Folder in that of the index where pairs of items are counted before it is written.
PAIRS: Final = "pairs"


@dataclass(frozen=True)
class IndexSpec:
    """What all tasks must agree on: sizes, and the vocabularies in code order."""

    folder: str
    n_items: int
    dim: int
    shard_rows: int
    languages: tuple[str, ...]
    categories: tuple[str, ...]
    markets: tuple[str, ...]

    @property
    def n_shards(self) -> int:
        """Shards of `shard_rows` items; the last may be shorter."""
        return -(-self.n_items // self.shard_rows)

    def at(self, folder: str) -> "IndexSpec":
        """The same in another folder."""
        return replace_fields(self, folder=folder)

    def rows(self, shard: int) -> int:
        """Items in a shard."""
        return min(self.shard_rows, self.n_items - shard * self.shard_rows)

    def piece(self, kind: str, shard: int) -> Path:
        """File of one shard's piece."""
        return Path(self.folder) / PIECES / f"{kind}-{shard:05d}.npy"

    def whole(self, name: str) -> Path:
        """File of a finished array."""
        return Path(self.folder) / f"{name}.npy"


def write_items(spec: IndexSpec, shard: int, items: pa.Table) -> None:
    """Writes the vectors of a shard, and the pieces of its ids, eligibility, languages and categories.

    `items` has item_id, item_num, and any of languages, categories, markets, available, vector; all rows of the shard,
    in any order. Without them items have no text, no category and no vector, and may go everywhere.

    Raises:
        LakeError: The item_nums are not exactly those of the shard, or a vector has another dimension.
        EncoderError: A vector is not finite.
    """
    for name in _OPTIONAL.keys() - items.column_names:
        items = items.append_column(name, pa.nulls(items.num_rows, _OPTIONAL[name]))
    items = items.sort_by("item_num").combine_chunks()
    first = shard * spec.shard_rows
    nums = items["item_num"].to_numpy()
    if len(nums) != spec.rows(shard) or not np.array_equal(nums, np.arange(first, first + len(nums))):
        raise LakeError(
            f"items holds {len(nums)} rows for item_num {first}..{first + spec.rows(shard) - 1}, "
            "allowed is exactly one each: prepare must number the items without gaps"
        )
    vectors = _vectors(spec, items)
    save_array(spec.whole(f"vectors-{shard:05d}"), vectors)
    save_array(spec.piece("norms", shard), np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1)))
    _write_ids(spec.piece("ids", shard), items["item_id"])
    rows, codes = _codes(items["markets"], spec.markets)
    eligible = np.tile(pc.is_null(items["markets"]).to_numpy(), (len(spec.markets), 1))
    eligible[codes, rows] = True
    available = [value is not False for value in items["available"].to_pylist()]
    save_array(spec.piece("eligible", shard), eligible & np.array(available, dtype=np.bool_))
    rows, codes = _codes(items["languages"], spec.languages)
    bits = np.zeros((len(nums), words_for(len(spec.languages))), dtype=np.uint64)
    np.bitwise_or.at(bits, (rows, codes // 64), np.uint64(1) << (codes % 64).astype(np.uint64))
    save_array(spec.piece("languages", shard), bits)
    rows, codes = _codes(items["categories"], spec.categories)
    save_array(spec.piece("categories-sizes", shard), np.bincount(rows, minlength=len(nums)))
    save_array(spec.piece("categories-codes", shard), codes.astype(np.int32))


def write_neighbours(spec: IndexSpec, market: str, shard: int, neighbours: pa.Table, most: int | None = None) -> None:
    """Writes a market's piece of a shard's neighbours (item_num, neighbour_num, score): per item the best, in order.

    Order is score desc, neighbour_num asc; `most` per item, None: all.
    """
    nums = neighbours["item_num"].to_numpy().astype(np.int64)
    others = neighbours["neighbour_num"].to_numpy().astype(np.int32)
    scores = neighbours["score"].to_numpy().astype(np.float64)
    order = np.lexsort((others, -scores, nums))
    indptr = indptr_of(np.bincount(nums - shard * spec.shard_rows, minlength=spec.rows(shard)))
    bounds, kept = first_entries(indptr, most or len(nums))
    kind = _neighbours_of(spec, market)
    save_array(spec.piece(f"{kind}-sizes", shard), np.diff(bounds))
    save_array(spec.piece(f"{kind}-nums", shard), others[order][kept])
    save_array(spec.piece(f"{kind}-scores", shard), scores[order][kept])


def write_market(spec: IndexSpec, market: str, popularity: pa.Table) -> None:
    """Writes the popularity (item_num, score) of a market; a market without any has no file yet."""
    scores = np.zeros(spec.n_items, dtype=np.float64)
    scores[popularity["item_num"].to_numpy()] = popularity["score"].to_numpy()
    save_array(spec.whole(f"popularity-{spec.markets.index(market):05d}"), scores)


def finish_index(spec: IndexSpec) -> None:
    """Joins the pieces into the arrays that the index maps, removes them, and writes meta.json: now the index opens.

    Raises:
        LakeError: a shard has no pieces, so that item_nums are not 0..n-1.
    """
    missing = [shard for shard in range(spec.n_shards) if not spec.piece("norms", shard).exists()]
    if missing:
        raise LakeError(
            f"items leave {len(missing)} of the {spec.n_shards} shards of {spec.n_items} items empty: "
            "number them 0..n-1"
        )
    _merge_ids(spec)
    _append(spec, "norms", np.dtype(np.float64), ())
    _append(spec, "languages", np.dtype(np.uint64), (words_for(len(spec.languages)),))
    _merge_lists(spec, "categories", codes=np.int32)
    for market in spec.markets:
        _merge_lists(spec, _neighbours_of(spec, market), nums=np.int32, scores=np.float64)
    pieces = [load_array(spec.piece("eligible", shard)) for shard in range(spec.n_shards)]
    rows = (piece[num] for num in range(len(spec.markets)) for piece in pieces)
    save_array_parts(spec.whole("eligible"), np.dtype(np.bool_), (len(spec.markets), spec.n_items), rows)
    _order(spec)
    shutil.rmtree(Path(spec.folder) / PIECES, ignore_errors=True)
    meta = {"layout": LAYOUT, **asdict(spec)}
    del meta["folder"]
    replace_file(Path(spec.folder) / META, lambda file: file.write(json.dumps(meta, ensure_ascii=False).encode()))


def _neighbours_of(spec: IndexSpec, market: str) -> str:
    return f"neighbours-{spec.markets.index(market):05d}"


def _vectors(spec: IndexSpec, items: pa.Table) -> NDArray[np.float32]:
    vectors = np.zeros((items.num_rows, spec.dim), dtype=np.float32)
    for row, vector in enumerate(items["vector"].to_pylist()):
        if vector is None:
            continue
        if len(vector) != 4 * spec.dim:
            item = items["item_id"][row].as_py()
            raise LakeError(f"vector of item {item!r} has {len(vector)} bytes, not 4 x {spec.dim}: embed again")
        vectors[row] = np.frombuffer(vector, dtype="<f4")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        item = items["item_id"][int(bad[0])].as_py()
        raise EncoderError(f"{len(bad)} vectors are not finite, the first of item {item!r}: check the encoder")
    return vectors


def _codes(column: "pa.ChunkedArray[Any]", vocabulary: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) int64 rows and (n,) int64 numbers of the names in lists, ascending."""
    rows, names = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
    codes = pc.index_in(names, value_set=pa.array(vocabulary, pa.string())).to_numpy()
    order = np.lexsort((codes, rows))
    return rows[order], codes[order].astype(np.int64)


def _write_ids(path: Path, ids: "pa.ChunkedArray[Any]") -> None:
    """Writes a file of Arrow with one column in one piece."""
    array: Any = pa.concat_arrays([pa.array([], pa.string()), *ids.cast(pa.string()).chunks])
    table = pa.table({"item_id": array})
    replace_file(path, lambda file: feather.write_feather(table, file, "uncompressed", chunksize=max(1, len(array))))


def _merge_ids(spec: IndexSpec) -> None:
    parts = [pa.ipc.open_file(str(spec.piece("ids", shard))).read_all()["item_id"] for shard in range(spec.n_shards)]
    _write_ids(Path(spec.folder) / "item_ids.arrow", pa.chunked_array(parts, pa.string()))


def _order(spec: IndexSpec) -> None:
    """Writes the popular order of every market."""
    eligible = load_array(spec.whole("eligible"))
    for num in range(len(spec.markets)):
        path = spec.whole(f"popularity-{num:05d}")
        if not path.exists():
            save_array(path, np.zeros(spec.n_items, dtype=np.float64))
        scores, items = load_array(path), np.flatnonzero(eligible[num]).astype(np.int32)
        save_array(spec.whole(f"order-{num:05d}"), items[np.lexsort((items, -scores[items]))])


def _merge_lists(spec: IndexSpec, what: str, **kinds: type[Any]) -> None:
    """Joins sizes and columns of lists of items; a shard without any has no pieces."""
    indptr = np.zeros(spec.n_items + 1, dtype=np.int64)
    for shard in range(spec.n_shards):
        if (path := spec.piece(f"{what}-sizes", shard)).exists():
            first = shard * spec.shard_rows + 1
            indptr[first : first + spec.rows(shard)] = load_array(path)
    save_array(spec.whole(f"{what}-indptr"), np.cumsum(indptr))
    for name, kind in kinds.items():
        _append(spec, f"{what}-{name}", np.dtype(kind), ())


def _append(spec: IndexSpec, name: str, kind: "np.dtype[Any]", shape: tuple[int, ...]) -> None:
    paths = [path for shard in range(spec.n_shards) if (path := spec.piece(name, shard)).exists()]
    n_rows = sum(load_array(path).shape[0] for path in paths)
    save_array_parts(spec.whole(name), kind, (n_rows, *shape), (load_array(path) for path in paths))
