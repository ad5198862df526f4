"""Rows of vectors that lie in shards."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def gather(
    shards: Sequence[tuple[int, NDArray[np.float32]]], nums: NDArray[np.integer[Any]], dim: int
) -> NDArray[np.float32]:
    """(n, dim) the first `dim` numbers of some rows, a copy; repeats are allowed, rows of no shard are zero.

    Args:
        shards: (first row, (rows, at least dim) float32), apart from each other.
        nums: (n,) rows in any order.
        dim: Numbers of each.
    """
    found = np.zeros((len(nums), dim), dtype=np.float32)
    for first, vectors in shards:
        _put(vectors, first, nums, found)
    return found


@njit(cache=True)
def _put(vectors: Any, first: Any, nums: Any, found: Any) -> None:
    for row in range(len(nums)):
        at = nums[row] - first
        if 0 <= at < len(vectors):
            for column in range(found.shape[1]):
                found[row, column] = vectors[at, column]
