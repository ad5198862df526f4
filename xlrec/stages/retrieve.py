"""Retrieve: for every user the best items of every source, with eligibility, language and seen items masked before."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import TaskContext
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import models_of
from xlrec.index.queries import asked
from xlrec.index.search import Search, Searched, searched
from xlrec.kernels.base.batches import blocks
from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.base.vectors import decode_vectors
from xlrec.kernels.history.profiles import Histories, histories, profiles
from xlrec.kernels.history.sparse import Market, Neighbours, Scratch, Union, empty_union, unite, used
from xlrec.kernels.search.topk import Mask, Shards, inner_products
from xlrec.runtime.devices import gpu_profile, task_device
from xlrec.runtime.files import local_path
from xlrec.runtime.tasks import Told, spread
from xlrec.tables import CANDIDATES

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import DataFrame

_USER = ("user_id", "market", "languages", "language_weights")
_Log = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]


class Then(NamedTuple):
    """A stage that follows in the same worker, so that what lies between never passes through the JVM."""

    of: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
    """From batches of `CANDIDATES`."""
    schema: StructType
    """Of what it gives."""


def retrieve(
    users: "DataFrame",
    events: "DataFrame",
    config: Config,
    *,
    index: str,
    run_date: date,  # noqa: ARG001  # availability lies in the index, decay counts from the user's newest event
    queries: "DataFrame | None" = None,
    told: "Accumulator[Told] | None" = None,
    then: Then | None = None,
) -> "DataFrame":
    """`CANDIDATES`: one row per user, whatever the partitions; tasks are cut by user_id, so that no market is one task.

    `similar` holds ⟨query, v⟩ in float64 for every candidate. With a model in the index (of the user's market, where it
    has its own) it is the preference that the model predicts; without one the query is the history's unit profile of
    text vectors. 0 for users without a query and items without a vector, which are no candidates of `similar`.

    Unless `rank.languages` is `any`, who reads something gets candidates with a text in a language that she reads or
    that an item of hers has; the fallback holds others after these, none where it is `only`.

    Args:
        users: `USERS`.
        events: `EVENTS` whose item_nums are the index's.
        config: `retrieve`, `k` and `rank.languages` are used.
        index: The `ItemIndex`, as `Files.offer` tells of it; its model serves where `train.factors` is enabled.
        run_date: The run's logical date.
        queries: (user_id, vector binary float32[dim]), used as they are instead of profiles; users without one have no
            `similar` candidates.
        told: To which each task tells its first passes of the top-k, '' before them.
        then: What is made of the candidates in the same worker, and comes back instead of them.

    Raises:
        LakeError: In the worker: no index, events of other items than the index's, or a query of another dimension.
        MachineError: In the worker: a GPU is asked for, and there is none.
    """
    rows = with_logs(spread(users.select(*_USER), "user_id"), events)
    if queries is not None:
        rows = rows.join(queries.select("user_id", "vector"), "user_id", "left")

    def found(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        opened, context = ItemIndex.open(local_path(index)), TaskContext.get()
        part = context.partitionId() if context else 0
        device = task_device(config.retrieve.device, "retrieve.device")
        search = Search(opened, config.retrieve, device=device)
        retriever = Retriever(opened, config, search)
        for block in blocks(batches, config.retrieve.user_block):
            yield from retriever.rows(block).to_batches()
        if told is not None:
            told.add(Told((part, path) for path in ("", *search.paths)))

    def made(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return then.of(found(batches)) if then else found(batches)

    # Ranking takes the CPU of the same worker: only who asks for GPUs has as few tasks at once as there are GPUs.
    profile = gpu_profile(users.sparkSession, "cuda") if config.retrieve.device == "cuda" else None
    return rows.mapInArrow(made, then.schema if then else CANDIDATES.schema, profile=profile)


def with_logs(users: "DataFrame", events: "DataFrame") -> "DataFrame":
    """Users as `Retriever.rows` takes them: each with a log of micros, item_num and weight, empty without events."""
    event = F.struct(F.unix_micros("timestamp").alias("micros"), "item_num", "weight")
    logs = events.groupBy("user_id").agg(F.collect_list(event).alias("log"))
    rows = users.select(*_USER).join(logs, "user_id", "left")
    none = F.array().cast(rows.schema["log"].dataType)  # from row to row Arrow would walk back over nulls
    return rows.withColumn("log", F.coalesce("log", none))


class Retriever:
    """Candidates of users on one index; without Spark, so that it can be timed and tried alone."""

    def __init__(self, index: ItemIndex, config: Config, search: Search | None = None) -> None:
        """Keeps scratch memory of one score and place per item; `search` None: as the config says, on the CPU."""
        self.index, self.config, self.k = index, config.retrieve, config.k
        self.search = search or Search(index, config.retrieve)
        self.languages = config.rank.languages
        self.half_life_items = (index.fusion or {}).get("half_life_items") or np.inf
        models = models_of(index) if config.train.factors.enabled else None
        learnt = models.each if models else [None]
        path = None if self.search.device == "cpu" else "float32"
        self.searched = [searched(index, one, self.config.item_block, path) for one in learnt]
        self.places = models.places if models else np.zeros(len(index.markets), dtype=np.int64)
        self.scratch = Scratch.of(index.n_items)

    def rows(self, users: pa.Table) -> pa.Table:
        """A block of users as a `CANDIDATES` table, in the same order.

        Args:
            users: user_id, market, languages, language_weights, log (list of micros, item_num, weight), and vector
                where queries are given.
        """
        market_nums = np.array([*map(self.index.market_num, users["market"].to_pylist())], dtype=np.int32)
        places = self.places[market_nums]
        chosen = [np.flatnonzero(places == place) for place in np.unique(places)]
        if len(chosen) == 1:
            return self._rows(users, market_nums, self.searched[places[0]])
        parts = [self._rows(users.take(rows), market_nums[rows], self.searched[places[rows[0]]]) for rows in chosen]
        return pa.concat_tables(parts).take(np.argsort(np.concatenate(chosen)))

    def _rows(self, users: pa.Table, market_nums: NDArray[np.int32], side: Searched) -> pa.Table:
        log = self._log(users)
        history = self._histories(log)
        mask = self._mask(users, history, market_nums)
        if side.learnt is None or "vector" in users.column_names:
            queries, weights = self._queries(users, history, side), history.weights
        else:
            weights, queries = asked(side.learnt, history, log[0], log[2], log[3], self.half_life_items)
            queries[np.diff(history.indptr) == 0] = np.nan
        similar = self.search.best(queries, mask, side)
        strict, union = self.languages == "only", empty_union(users.num_rows, 3 * self.config.candidates, self.k)
        for num in np.unique(market_nums):
            name = self.index.markets[num]
            market = Market(np.asarray(self.index.popular_order(name)), np.asarray(self.index.popularity(name)))
            near = Neighbours(*self.index.neighbours(name))
            chosen = np.flatnonzero(market_nums == num)
            unite(chosen, similar, history, near, market, mask, self.scratch, union, strict=strict)
        filled = used(union.sizes, union.nums.shape[1])
        owners, nums = np.repeat(np.arange(users.num_rows), union.sizes), union.nums[filled]
        whole = _completed(queries, owners, nums, union.similar[filled], side.shards)
        scores = {
            "similar": whole, "covisited": union.covisited[filled], "popular": union.popular[filled],
        }  # fmt: skip
        return _table(users, history, weights, union, nums, scores)

    def _log(self, users: pa.Table) -> _Log:
        """Events of the users: indptr, micros, item_nums, weights."""
        log = _array(users["log"])
        sizes = pc.fill_null(pc.list_value_length(log), 0).to_numpy(zero_copy_only=False)
        micros, nums, weights = log.flatten().flatten()
        n_items = self.index.n_items
        if len(nums) and not 0 <= pc.min(nums).as_py() <= pc.max(nums).as_py() < n_items:
            raise LakeError(f"events name item_num {pc.max(nums)}, the index has {n_items} items: train again")
        return (
            indptr_of(sizes),
            micros.to_numpy(zero_copy_only=False).astype(np.int64),
            nums.to_numpy(zero_copy_only=False).astype(np.int32),
            weights.to_numpy(zero_copy_only=False).astype(np.float64),
        )

    def _histories(self, log: _Log) -> Histories:
        return histories(
            *log,
            max_history=self.config.max_history,
            half_life_days=self.config.half_life_days,
            half_life_items=self.config.half_life_items,
        )

    def _mask(self, users: pa.Table, history: Histories, market_nums: NDArray[np.int32]) -> Mask:
        n_users = users.num_rows
        words = np.zeros((n_users, self.index.n_words), dtype=np.uint64)
        restricted = np.zeros(n_users, dtype=np.bool_)
        bits = np.asarray(self.index.language_bits)
        if self.languages != "any":
            for row, languages in enumerate(users["languages"].to_pylist()):
                restricted[row] = bool(languages)
                words[row] = self.index.language_words(languages or [])
        if self.languages == "calibrated":
            np.bitwise_or.at(words, owners_of(history.seen_indptr), bits[history.seen_nums])
            restricted &= words.any(axis=1)
        seen = self.config.exclude_seen
        return Mask(
            eligible=np.asarray(self.index.eligible_rows),
            group=market_nums,
            seen_indptr=history.seen_indptr if seen else np.zeros(n_users + 1, dtype=np.int64),
            seen_nums=history.seen_nums,
            item_words=bits,
            user_words=words,
            restricted=restricted,
        )

    def _queries(self, users: pa.Table, history: Histories, side: Searched) -> NDArray[np.float64]:
        """(n_users, dim); NaN, which no search returns anything for, where a user has none."""
        if "vector" not in users.column_names:
            return profiles(history, side.shards, side.dim)
        found = np.full((users.num_rows, side.dim), np.nan)
        vectors = _array(users["vector"])
        try:
            found[vectors.is_valid().to_numpy(zero_copy_only=False)] = decode_vectors(vectors.drop_null(), side.dim)
        except ValueError as error:
            raise LakeError(f"queries do not fit the index, learn again: {error}") from error
        return found


def _completed(
    queries: NDArray[np.float64],
    owners: NDArray[np.int64],
    nums: NDArray[np.int32],
    similar: NDArray[np.float64],
    shards: Shards,
) -> NDArray[np.float64]:
    """(n,) scores of candidates; what other sources brought in is scored just as the search scores, 0 without a query.

    Args:
        queries: (n_users, dim) float64, NaN where a user has none.
        owners: (n,) user of each candidate.
        nums: (n,) its item_num.
        similar: (n,) its score, NaN where the search did not find it; is filled.
        shards: Item vectors.
    """
    missing = np.flatnonzero(np.isnan(similar))
    rows = owners[missing]
    scores = inner_products(queries, rows, nums[missing], shards)
    similar[missing] = np.where(np.isfinite(queries[rows, 0]), scores, 0.0)
    return similar


def _array(column: "pa.ChunkedArray[Any]") -> Any:
    """One array of a column; as `Any`, since the stubs know no lists of structs."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _lists(sizes: NDArray[Any], values: NDArray[Any]) -> Any:
    ends: Any = pa.array(indptr_of(sizes), pa.int32())
    return pa.ListArray.from_arrays(ends, pa.array(values))


def _table(
    users: pa.Table,
    history: Histories,
    attention: NDArray[np.float64],
    union: Union,
    nums: NDArray[np.int32],
    scores: dict[str, NDArray[np.float64]],
) -> pa.Table:
    sizes = np.diff(history.indptr)
    columns: dict[str, Any] = {name: users[name] for name in _USER}
    columns |= {
        "history": _lists(sizes, history.nums),
        "history_weights": _lists(sizes, history.weights),
        "attention": _lists(sizes, attention),
        "item_nums": _lists(union.sizes, nums),
    }
    columns |= {name: _lists(union.sizes, values) for name, values in scores.items()}
    columns["fallback"] = _lists((union.fallback >= 0).sum(axis=1), union.fallback[union.fallback >= 0])
    return pa.table(columns)
