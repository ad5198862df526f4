"""A slice of the users of `CANDIDATES` as flat arrays; no Python object per user.

Runs of all users lie one after another: user u's are at `indptr[u]` to `indptr[u + 1]` (`xlrec.kernels.base.csr`).
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.kernels.base.csr import owners_of
from xlrec.kernels.ranking.fusion import Fused
from xlrec.tables import SOURCES

_Nums = NDArray[np.int32]
_Floats = NDArray[np.float64]
_Bounds = NDArray[np.int64]


class Users(NamedTuple):
    """Rows of `CANDIDATES`."""

    markets: list[str | None]  # (n_users,)
    languages_indptr: _Bounds  # (n_users + 1,) runs of the next two
    languages: "pa.StringArray"  # (n_languages,) languages that the users read, heaviest first
    language_weights: _Floats  # (n_languages,) share of each
    history_indptr: _Bounds  # (n_users + 1,) runs of the next three
    history: _Nums  # (n_history,) item_nums, latest first
    history_weights: _Floats  # (n_history,) decayed shares
    attention: _Floats  # (n_history,) weights in the query
    indptr: _Bounds  # (n_users + 1,) runs of `nums` and of the columns of `scores`
    nums: _Nums  # (n,) item_nums of the candidates, ascending within each user
    scores: _Floats  # (n_sources, n) scores of the candidates
    fallback_indptr: _Bounds  # (n_users + 1,) runs of `fallback`
    fallback: _Nums  # (n_fallback,) item_nums, best first


class Scored(NamedTuple):
    """The users' candidates with their scores, before the greedy."""

    fused: Fused  # Scores, and the terms of the sources in them
    indptr: _Bounds  # (n_users + 1,) runs of `order`
    order: NDArray[np.int64]  # (n_ranked,) positions, among all candidates, of each user's readable ones, best first
    reads: NDArray[np.int64]  # (n_languages,) numbers of `Users.languages`; -1 for one that no item has


class Listed(NamedTuple):
    """The users' lists, each in rank order, one after another."""

    indptr: _Bounds  # (n_users + 1,) runs of the others
    nums: _Nums  # (n,) item_nums
    scores: _Floats  # (n,) falling along each list
    kinds: NDArray[np.int64]  # (n,) rows of `KINDS`
    shown: NDArray[np.int64]  # (n,) number of the language shown; -1 where the item has no text
    because: NDArray[np.int64]  # (n, n_because) item_nums, filled up with -1


def users_of(batch: pa.RecordBatch, weights: NDArray[np.float64]) -> Users:
    """The rows of a `CANDIDATES` batch; scores of sources with weight 0 come as 0.

    `weights` are (n_sources,) float64 in the order of `SOURCES`.

    Raises:
        LakeError: The arrays of a row do not fit together; whoever made the candidates mends it.
    """
    runs = {name: _runs(batch.column(name)) for name in batch.schema.names if name not in ("user_id", "market")}
    indptrs = {name: indptr for name, (indptr, _) in runs.items()}
    numbers = {name: values.to_numpy(zero_copy_only=False) for name, (_, values) in runs.items() if name != "languages"}
    used = [name for name, weight in zip(SOURCES, weights, strict=True) if weight > 0]
    _check(indptrs, numbers["item_nums"], used)
    indptr, nums = indptrs["item_nums"], numbers["item_nums"]
    scores = np.zeros((len(SOURCES), len(nums)))
    for name in used:
        scores[SOURCES.index(name)] = numbers[name]
    return Users(
        batch["market"].to_pylist(),
        indptrs["languages"], runs["languages"][1], numbers["language_weights"],
        indptrs["history"], numbers["history"], numbers["history_weights"], numbers["attention"],
        indptr, nums, scores,
        indptrs["fallback"], numbers["fallback"],
    )  # fmt: skip


def _check(indptrs: dict[str, _Bounds], nums: _Nums, used: list[str]) -> None:
    sizes = {name: np.diff(indptr) for name, indptr in indptrs.items()}
    pairs = [(name, "item_nums") for name in used]
    pairs += [("history_weights", "history"), ("attention", "history"), ("language_weights", "languages")]
    wrong = np.zeros(len(indptrs["item_nums"]) - 1, dtype=np.bool_)
    for name, other in pairs:
        wrong |= sizes[name] != sizes[other]
    owners = owners_of(indptrs["item_nums"])
    wrong[owners[1:][~(nums[1:] > nums[:-1]) & (owners[1:] == owners[:-1])]] = True
    if wrong.any():
        row = int(np.argmax(wrong))
        seen = {name: int(size[row]) for name, size in sizes.items()}
        raise LakeError(
            f"candidates of a user (row {row} of a batch) hold arrays of sizes {seen}: each source with a weight needs "
            "one score for each of item_nums (ascending), history and languages one weight each: run retrieve again"
        )


def _runs(column: Any) -> tuple[_Bounds, Any]:
    """Bounds of each row's values, and the values; a null list has none, a null number is NaN."""
    indptr = column.offsets.to_numpy().astype(np.int64)
    return indptr - indptr[0], column.values.slice(indptr[0], indptr[-1] - indptr[0])
