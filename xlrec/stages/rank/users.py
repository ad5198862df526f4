"""One user on the way from candidates to a list: what retrieval found, how it scores, what is listed."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.kernels.fusion import Fused
from xlrec.tables import SOURCES

_Nums = NDArray[np.int32]
_Floats = NDArray[np.float64]


class User(NamedTuple):
    """One row of `CANDIDATES` as arrays."""

    market: str | None
    languages: list[str]
    language_weights: _Floats
    history: _Nums
    history_weights: _Floats
    attention: _Floats
    nums: _Nums
    scores: _Floats
    """(n_sources, n)."""
    prior: _Floats
    """(n,) part of `similar` that is not the history's."""
    fallback: _Nums


class Scored(NamedTuple):
    """One user's candidates with their scores, before the greedy."""

    scaled: _Floats
    """(n_sources, n) as the fusion takes them."""
    fused: Fused
    """Scores, and the terms of the sources in them."""
    order: NDArray[np.int64]
    """Positions of the readable candidates, best first."""
    reads: NDArray[np.int64]
    """Numbers of the user's languages, heaviest first; -1 for one that no item has."""


class Listed(NamedTuple):
    """One user's list, each array in rank order."""

    nums: _Nums
    scores: _Floats
    kinds: NDArray[np.int64]
    """Rows of `KINDS`."""
    shown: NDArray[np.int64]
    """Number of the language shown; -1 where the item has no text."""
    because: NDArray[np.int64]
    """(n, n_because) item_nums, filled up with -1."""


def users_of(batch: pa.RecordBatch, weights: NDArray[np.float64]) -> Iterator[User]:
    """The rows of a `CANDIDATES` batch; scores of sources with weight 0 come as 0.

    Raises:
        LakeError: The arrays of a row do not fit together; whoever made the candidates mends it.
    """
    arrays = {name: _lists(batch.column(name)) for name in batch.schema.names if name not in ("user_id", "market")}
    for row, (user_id, market) in enumerate(
        zip(batch["user_id"].to_pylist(), batch["market"].to_pylist(), strict=True)
    ):
        one = {name: values[ends[row] : ends[row + 1]] for name, (ends, values) in arrays.items()}
        nums = one["item_nums"]
        empty = np.zeros(len(nums))
        sources = [one[name] if weight > 0 else empty for name, weight in zip(SOURCES, weights, strict=True)]
        sizes = {name: len(values) for name, values in one.items()}
        if (
            any(len(source) != len(nums) for source in sources)
            or len({sizes[name] for name in ("history", "history_weights", "attention")}) > 1
            or sizes["prior"] not in (0, len(nums))
            or sizes["languages"] != sizes["language_weights"]
            or not (nums[1:] > nums[:-1]).all()
        ):
            raise LakeError(
                f"candidates of user {user_id!r} hold arrays of sizes {sizes}: each source with a weight needs one "
                "score for each of item_nums (ascending), history and languages one weight each: run retrieve again"
            )
        yield User(
            market,
            one["languages"].tolist(),
            one["language_weights"],
            one["history"],
            one["history_weights"],
            one["attention"],
            nums,
            np.stack(sources),
            one["prior"],
            one["fallback"],
        )


def _lists(column: Any) -> tuple[list[int], Any]:
    """Bounds of each row's values, and the values; a null list has none, a null number is NaN."""
    return column.offsets.to_pylist(), column.values.to_numpy(zero_copy_only=False)
