"""Candidates of a block of users on one index: arrays and Arrow, no Spark."""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.index.items import ItemIndex
from xlrec.index.queries import block_queries
from xlrec.index.search import IndexSearch, VectorSpace
from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.base.vectors import decode_vectors
from xlrec.kernels.history.profiles import Histories, profile_vectors, weighted_histories
from xlrec.kernels.history.sparse import (
    CandidateUnion,
    MarketPopularity,
    Neighbours,
    Scratch,
    empty_union,
    merge_candidates,
    used_columns,
)
from xlrec.kernels.search.items import Shards
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.topk import inner_products

#: Columns of `CANDIDATES` that come from the users.
USER_COLUMNS: Final = ("user_id", "market", "languages", "language_weights")


class _Log(NamedTuple):
    """Events of a block of users, one user's after another's."""

    indptr: NDArray[np.int64]  # (n_users + 1,)
    micros: NDArray[np.int64]  # (n,) as the next two
    nums: NDArray[np.int32]
    weights: NDArray[np.float64]


class Retriever:
    """Candidates of users on one index; without Spark, so that it can be timed and tried alone."""

    def __init__(self, index: ItemIndex, config: Config, search: IndexSearch | None = None) -> None:
        """Takes scratch memory of a score and a place per item; without a `search`, as the config says, on the CPU."""
        self.index, self.config, self.k = index, config.retrieve, config.k
        self.search = search or IndexSearch(index, config)
        self.languages = config.rank.languages
        self.half_life_items = (index.fusion or {}).get("half_life_items") or np.inf
        self.scratch = Scratch.empty_scratch(index.n_items)

    def candidates_of(self, users: pa.Table) -> pa.Table:
        """A block of users as a `CANDIDATES` table, in the same order.

        The columns are user_id, market, languages, language_weights, log (list of micros, item_num, weight), and vector
        where queries are given.
        """
        market_nums = np.array([*map(self.index.market_num, users["market"].to_pylist())], dtype=np.int32)
        space_nums = self.search.space_nums[market_nums]
        order = np.argsort(space_nums, kind="stable")
        by_space = np.split(order, np.flatnonzero(np.diff(space_nums[order])) + 1)
        if len(by_space) == 1:
            return self._rows(users, market_nums, int(space_nums[0]))
        parts = [self._rows(users.take(rows), market_nums[rows], int(space_nums[rows[0]])) for rows in by_space]
        return pa.concat_tables(parts).take(np.argsort(order))

    def _rows(self, users: pa.Table, market_nums: NDArray[np.int32], space_num: int) -> pa.Table:
        space = self.search.spaces[space_num]
        log = self._log(users)
        history = weighted_histories(
            *log,
            max_history=self.config.max_history,
            half_life_days=self.config.half_life_days,
            half_life_items=self.config.half_life_items,
        )
        mask = self._mask(users, history, market_nums)
        if space.learnt is None or "vector" in users.column_names:
            queries, weights = self._queries(users, history, space), history.weights
        else:
            weights, queries = block_queries(
                space.learnt, history, log.indptr, log.nums, log.weights, self.half_life_items
            )
            queries[np.diff(history.indptr) == 0] = np.nan
        similar = self.search.best_items(queries, mask, space_num)
        strict = self.languages == "only"
        union = empty_union(users.num_rows, 3 * self.config.candidates, self.k)
        for num in np.unique(market_nums):
            name = self.index.markets[num]
            market = MarketPopularity(
                np.asarray(self.index.popular_order(name)), np.asarray(self.index.popularity(name))
            )
            neighbours, rows = Neighbours(*self.index.neighbours(name)), np.flatnonzero(market_nums == num)
            merge_candidates(rows, similar, history, neighbours, market, mask, self.scratch, union, strict=strict)
        filled = used_columns(union.sizes, union.nums.shape[1])
        owners, nums = np.repeat(np.arange(users.num_rows), union.sizes), union.nums[filled]
        similarities = _completed(queries, owners, nums, union.similar[filled], space.items.shards)
        scores = {
            "similar": similarities, "covisited": union.covisited[filled], "popular": union.popular[filled],
        }  # fmt: skip
        return _table(users, history, weights, union, nums, scores)

    def _log(self, users: pa.Table) -> _Log:
        lists = _array(users["log"])
        sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        micros, nums, weights = lists.flatten().flatten()
        n_items = self.index.n_items
        if len(nums) and not 0 <= pc.min(nums).as_py() <= pc.max(nums).as_py() < n_items:
            raise LakeError(f"events name item_num {pc.max(nums)}, the index has {n_items} items: train again")
        return _Log(
            indptr_of(sizes),
            micros.to_numpy(zero_copy_only=False).astype(np.int64),
            nums.to_numpy(zero_copy_only=False).astype(np.int32),
            weights.to_numpy(zero_copy_only=False).astype(np.float64),
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

    def _queries(self, users: pa.Table, history: Histories, space: VectorSpace) -> NDArray[np.float64]:
        """(n_users, dim) float64 queries; NaN where a user has none."""
        if "vector" not in users.column_names:
            return profile_vectors(history, space.items.shards, space.dim)
        queries = np.full((users.num_rows, space.dim), np.nan)
        vectors = _array(users["vector"])
        try:
            queries[vectors.is_valid().to_numpy(zero_copy_only=False)] = decode_vectors(vectors.drop_null(), space.dim)
        except ValueError as error:
            raise LakeError(f"queries do not fit the index, learn again: {error}") from error
        return queries


def _completed(
    queries: NDArray[np.float64],
    owners: NDArray[np.int64],
    nums: NDArray[np.int32],
    similar: NDArray[np.float64],
    shards: Shards,
) -> NDArray[np.float64]:
    """(n,) float64 similarities of candidates: those of other sources are made as the search makes them.

    0 where a user has no query: those (n_users, dim) are NaN. `owners` and `nums` (n,) are user and item_num of each
    candidate, `similar` (n,) its score, NaN where the search did not find it; written to.
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
    union: CandidateUnion,
    nums: NDArray[np.int32],
    scores: dict[str, NDArray[np.float64]],
) -> pa.Table:
    sizes = np.diff(history.indptr)
    columns: dict[str, Any] = {name: users[name] for name in USER_COLUMNS}
    columns |= {
        "history": _lists(sizes, history.nums),
        "history_weights": _lists(sizes, history.weights),
        "attention": _lists(sizes, attention),
        "item_nums": _lists(union.sizes, nums),
    }
    columns |= {name: _lists(union.sizes, values) for name, values in scores.items()}
    columns["fallback"] = _lists((union.fallback >= 0).sum(axis=1), union.fallback[union.fallback >= 0])
    return pa.table(columns)
