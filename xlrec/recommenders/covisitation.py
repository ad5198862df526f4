"""Item-to-item scores of every market from choices of the same users, those of other markets at a lower weight."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F

from xlrec.config.models import CovisitationConfig
from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.history.covisits import ChoiceLogs, PairCounts, Rules, pairs_of_block
from xlrec.kernels.history.item_weights import Counts, Mixture, item_weights
from xlrec.recommenders.popularity import all_markets
from xlrec.runtime.arrays import load_array, save_array, save_array_parts
from xlrec.runtime.files import PARTS, Files, local_path
from xlrec.runtime.tasks import shuffle_tasks, spread_by_hash
from xlrec.tables import NEIGHBOURS, UNKNOWN_MARKET

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BLOCKS: Final = 200  # of items, where the session does not say into how many tasks it shuffles
_ITEMS: Final = 1024  # whose scores lie in memory at once
#: Types of the files of counted pairs: one set per block from the tasks, joined by the driver, mapped by later tasks.
_KINDS: Final = {"users": np.int32, "sizes": np.int64, "nums": np.int32, "counts": np.int32, "closeness": np.float64}


def fit_neighbours(events: "DataFrame", items: "DataFrame", config: CovisitationConfig, files: Files) -> "DataFrame":
    """`NEIGHBOURS`: for each market and history item, the items sold there that are chosen with it.

    A score (`kernels.history.item_weights.item_weights`) is a regression weight plus `sequence` times the closeness of
    both items in the histories. A user counts once for an item, at her newest choice of it (events of weight > 0),
    with her newest `max_history` items, in the market of the newest of them; no market is ZZ. Markets are those of
    events and items, and ZZ; items without markets are sold in all.

    Pairs are never rows: each user's log goes once to every block of items that it touches, a task counts the pairs of
    its block into files, and later tasks map the files of all blocks. Counts are integers, and each item's scores come
    from its own counts: how work is cut changes no bit. Events are read at once; `files` is emptied, and needed until
    the rows have been read; then drop it.
    """
    session = events.sparkSession
    files.clear_folder()
    markets = sorted(row["market"] for row in all_markets(events, items).collect())  # a vocabulary
    n_blocks = shuffle_tasks(session) or _BLOCKS
    _count_pairs(_by_block(events, config.max_history, n_blocks), markets, n_blocks, config, files)
    files.keep_in_lake(session)
    mixture, place = mixture_of(config), files.share_with_workers(session)

    def of_items(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        counts = open_counts(local_path(place))
        for batch in batches:
            for start in range(0, batch.num_rows, _ITEMS):
                part = batch.slice(start, _ITEMS)
                nums = part.column("item_num").to_numpy()
                weights = item_weights(counts, nums, _sold(part.column("markets"), markets), mixture)
                codes: Any = pa.array(weights.market)
                names = pa.DictionaryArray.from_arrays(codes, pa.array(markets, pa.string()))
                columns: list[Any] = [names.cast(pa.string()), *(pa.array(column) for column in weights[1:])]
                yield pa.RecordBatch.from_arrays(columns, names=NEIGHBOURS.schema.names)

    return spread_by_hash(items.select("item_num", "markets"), "item_num").mapInArrow(of_items, NEIGHBOURS.schema)


def rules_of(config: CovisitationConfig) -> Rules:
    """Constants of closeness in the config."""
    return Rules(config.window_items, config.max_gap_days, config.gap_half_life_days, config.distance_decay)


def mixture_of(config: CovisitationConfig) -> Mixture:
    """Constants of scores in the config."""
    return Mixture(
        config.other_markets, config.regression, config.penalty, config.predictors, config.sequence,
        config.normalisation,
    )  # fmt: skip


def _by_block(events: "DataFrame", max_history: int, n_blocks: int) -> "DataFrame":
    """(block, market, log): each user's newest items, oldest first, for every block that one of them is in."""
    micros = F.unix_micros("timestamp").alias("micros")
    positive = events.where("weight > 0").select("user_id", "item_num", micros, "market")
    newest = F.max(F.struct("micros", "market")).alias("newest")
    chosen = spread_by_hash(positive, "user_id").groupBy("user_id", "item_num").agg(newest)
    choice = F.struct("newest.micros", "item_num", "newest.market")
    logs = chosen.groupBy("user_id").agg(F.sort_array(F.collect_list(choice)).alias("log"))
    cut = logs.select(F.expr(f"slice(log, -least({max_history}, size(log)), {max_history})").alias("log"))
    return cut.select(
        F.explode(F.expr(f"array_distinct(transform(log, choice -> choice.item_num % {n_blocks}))")).alias("block"),
        F.coalesce(F.expr("element_at(log, -1).market"), F.lit(UNKNOWN_MARKET)).alias("market"),
        F.expr("transform(log, choice -> struct(choice.micros, choice.item_num))").alias("log"),
    )


def _count_pairs(
    blocks: "DataFrame", markets: list[str], n_blocks: int, config: CovisitationConfig, files: Files
) -> None:
    """Counts the pairs of all blocks into the folder."""
    rules = rules_of(config)

    def of_block(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        block = key[0].as_py()
        pairs = pairs_of_block(_logs(table, markets), block, n_blocks, len(markets), rules)
        return files.written_parts(lambda folder: save_pairs(folder, block, pairs))

    files.collect_parts(blocks.groupBy("block").applyInArrow(of_block, PARTS))
    join_pairs(files.folder, n_blocks)


def _logs(table: pa.Table, markets: list[str]) -> ChoiceLogs:
    lists: Any = table["log"].combine_chunks()
    micros, nums = (column.to_numpy(zero_copy_only=False) for column in lists.flatten().flatten())
    sizes = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    codes = pc.index_in(table["market"], value_set=pa.array(markets, pa.string()))
    return ChoiceLogs(indptr_of(sizes), nums, micros, codes.to_numpy().astype(np.int32))


def _sold(column: "pa.Array[Any]", markets: list[str]) -> NDArray[np.bool_]:
    """(n_items, n_markets) bool; null markets: sold everywhere."""
    codes = {market: code for code, market in enumerate(markets)}
    sold = np.zeros((len(column), len(markets)), dtype=np.bool_)
    for row, names in enumerate(column.to_pylist()):
        sold[row, slice(None) if names is None else [codes[name] for name in names]] = True
    return sold


def save_pairs(folder: str, block: int, pairs: PairCounts) -> None:
    """Writes one file per field of a block."""
    for field, array in pairs._asdict().items():
        save_array(_piece(folder, field, block), array)


def join_pairs(folder: str, n_blocks: int) -> None:
    """Joins each field of all blocks into one file; a block without choices has none."""
    for field, kind in _KINDS.items():
        paths = [_piece(folder, field, block) for block in range(n_blocks)]
        pieces = [load_array(path) if path.exists() else np.zeros(0, kind) for path in paths]  # mapped
        lengths = np.array([len(piece) for piece in pieces])
        if field == "sizes":
            save_array(Path(folder) / "indptr.npy", indptr_of(np.concatenate(pieces)))
            save_array(Path(folder) / "starts.npy", indptr_of(lengths))
        else:
            save_array_parts(Path(folder) / f"{field}.npy", np.dtype(kind), (int(lengths.sum()),), iter(pieces))
    shutil.rmtree(Path(folder) / "blocks", ignore_errors=True)


def open_counts(folder: str) -> Counts:
    """Counts that `join_pairs` wrote, memory-mapped."""
    return Counts(*(load_array(Path(folder) / f"{field}.npy") for field in Counts._fields))


def _piece(folder: str, field: str, block: int) -> Path:
    return Path(folder) / "blocks" / f"{field}-{block:05d}.npy"
