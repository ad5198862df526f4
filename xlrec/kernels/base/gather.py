"""Copies of chosen rows of vectors in shards."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.numba_options import njit_without_refcounts
from xlrec.kernels.base.simd import prefetch

_AHEAD: Final = 12  # rows that are prefetched before they are copied
_LINE: Final = 16  # float32 numbers of a cache line


def gather_rows(
    shards: Sequence[tuple[int, NDArray[np.float32]]],
    nums: NDArray[np.integer[Any]],
    dim: int,
    room: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """(n, dim) float32 copy of the first `dim` numbers of chosen rows; rows of no shard are zero.

    Args:
        shards: (first row, (n_rows, at least dim) float32) of each shard; shards do not overlap.
        nums: (n,) integer rows in any order, repeats allowed.
        dim: numbers of each row.
        room: (at least n, dim) float32 where the copy is written; None: new memory.
    """
    copies = np.empty((len(nums), dim), dtype=np.float32) if room is None else room[: len(nums)]
    if sum(_put(vectors, first, nums, copies) for first, vectors in shards) < len(nums):
        present = np.zeros(len(nums), dtype=np.bool_)
        for first, vectors in shards:
            present |= (nums >= first) & (nums < first + len(vectors))
        copies[~present] = 0
    return copies


@njit_without_refcounts
def _put(vectors: Any, first: Any, nums: Any, copies: Any) -> Any:
    """Number of rows that lie in the shard; they are copied to `copies`."""
    n_put = 0
    for row in range(len(nums)):
        later = nums[min(row + _AHEAD, len(nums) - 1)] - first
        if 0 <= later < len(vectors):
            for column in range(0, copies.shape[1], _LINE):
                prefetch(vectors[later], column)
        at = nums[row] - first
        if 0 <= at < len(vectors):
            n_put += 1
            for column in range(copies.shape[1]):
                copies[row, column] = vectors[at, column]
    return n_put
