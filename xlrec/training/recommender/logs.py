"""Logs of all users and the items, as arrays of one process, from which the recommender learns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from xlrec.index.catalogue import language_matrix
from xlrec.index.items import ItemIndex
from xlrec.index.queries import language_shares
from xlrec.kernels.base.csr import indptr_of, owners_of, run_starts
from xlrec.kernels.history.visits import Visits, visits_from_events


class Items(NamedTuple):
    """Items, row-aligned by item_num."""

    texts: NDArray[np.float32]
    """(n_items, text_dim) float32, unit norm; zero where an item has no text."""
    languages: NDArray[np.float32]
    """(n_items, n_languages) float32, 1 where the item has a text in the language."""
    eligible: NDArray[np.bool_]
    """(n_markets, n_items) bool: sold there and available."""
    first_micros: NDArray[np.float64]
    """(n_items,) float64 microseconds at which the item was first there or met; NaN where unknown."""


class Logs(NamedTuple):
    """Users in a fixed order, their visits, and all positive events."""

    visits: Visits
    markets: NDArray[np.int32]
    """(n_users,) int32 row of each user's market in the items' markets."""
    reads: NDArray[np.float32]
    """(n_users, n_languages) float32 share of each language that the user reads."""
    event_users: NDArray[np.int32]
    """(n_events,) int32 row of the user of each positive event; row-aligned with the next four."""
    event_nums: NDArray[np.int32]
    event_micros: NDArray[np.int64]
    event_weights: NDArray[np.float64]
    event_markets: NDArray[np.int32]

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.markets)


def items_from_index(index: ItemIndex, first_micros: NDArray[np.float64]) -> Items:
    """Items of an index, whose text vectors become one array.

    `first_micros` is (n_items,) float64 microseconds, NaN where unknown, as in `Items`.
    """
    texts = [np.asarray(vectors) for _, vectors in index.shards]
    joined = np.concatenate(texts) if texts else np.zeros((0, index.dim), dtype=np.float32)
    languages = language_matrix(np.asarray(index.language_bits), len(index.languages))
    return Items(joined, languages, np.asarray(index.eligible_rows), first_micros)


def read_logs(folder: str | Path, index: ItemIndex) -> Logs:
    """Logs from the Parquet of `stages.train.logs_by_user`, in an order that no partitioning changes."""
    table = ds.dataset(str(folder), format="parquet").to_table()
    return logs_from_table(table, index.market_num, index.languages)


def logs_from_table(table: pa.Table, market_num: Callable[[str | None], int], languages: tuple[str, ...]) -> Logs:
    """Logs from rows of `stages.train.logs_by_user`, in any order.

    `market_num` gives the row of any market's name; `languages` are the columns of the items' languages.
    """
    table = table.sort_by("user_key").combine_chunks()
    log: Any = pc.list_flatten(table["log"])
    log = log.combine_chunks() if isinstance(log, pa.ChunkedArray) else log
    micros, nums, weights, names = (log.field(name) for name in ("micros", "item_num", "weight", "market"))
    sizes = pc.fill_null(pc.list_value_length(table["log"]), 0).to_numpy()
    indptr = indptr_of(sizes)
    arrays = (
        micros.to_numpy(zero_copy_only=False).astype(np.int64),
        nums.to_numpy(zero_copy_only=False).astype(np.int32),
        weights.to_numpy(zero_copy_only=False).astype(np.float64),
    )
    positive = arrays[2] > 0
    users = owners_of(indptr).astype(np.int32)
    return Logs(
        visits_from_events(indptr, *arrays),
        _numbers(table["market"], market_num),
        language_shares(table["languages"], table["language_weights"], languages).astype(np.float32),
        users[positive],
        arrays[1][positive],
        arrays[0][positive],
        arrays[2][positive],
        _numbers(names, market_num)[positive],
    )


def _numbers(names: Any, market_num: Callable[[str | None], int]) -> NDArray[np.int32]:
    column: Any = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    encoded: Any = column.dictionary_encode() if not pa.types.is_dictionary(column.type) else column
    rows = np.array([market_num(name) for name in encoded.dictionary.to_pylist()] + [market_num(None)], dtype=np.int32)
    return np.asarray(rows[encoded.indices.fill_null(len(rows) - 1).to_numpy(zero_copy_only=False)])


def logs_before(logs: Logs, users: NDArray[np.bool_], before: "NDArray[np.float64] | float" = np.inf) -> Logs:
    """Logs of (n_users,) bool users before (n_users,) float64 microseconds or one moment; others keep empty rows."""
    cuts = np.broadcast_to(np.asarray(before, dtype=np.float64), users.shape)
    owners = logs.visits.owners
    return select_events(
        logs,
        users[owners] & (logs.visits.micros < cuts[owners]),
        users[logs.event_users] & (logs.event_micros < cuts[logs.event_users]),
    )


def select_events(logs: Logs, kept: NDArray[np.bool_], events: NDArray[np.bool_]) -> Logs:
    """Logs with some of the visits, (n_visits,) bool, and events, (n_events,) bool; all users keep their rows."""
    of_events = {name: getattr(logs, name)[events] for name in Logs._fields if name.startswith("event_")}
    return logs._replace(visits=logs.visits.keep_visits(kept), **of_events)


def first_meetings(visits: Visits) -> NDArray[np.int64]:
    """(n,) int64 rows of the visits, ascending, at which a user meets an item for the first time."""
    owners, nums = visits.owners, visits.nums
    order = np.lexsort((visits.micros, nums, owners))
    return np.sort(order[run_starts(owners[order], nums[order])])


def first_events(logs: Logs, n_items: int) -> NDArray[np.float64]:
    """(n_items,) float64 microseconds of each item's first event; NaN where it has none."""
    first = np.full(n_items, np.inf)
    np.minimum.at(first, logs.event_nums, logs.event_micros.astype(np.float64))
    return np.where(np.isfinite(first), first, np.nan)
