"""Rows of vectors that lie in shards."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.numba_options import uncounted
from xlrec.kernels.base.simd import fetch

_AHEAD: Final = 12  # rows whose memory is asked for before they are copied
_LINE: Final = 16  # float32 numbers of a cache line


def gather(
    shards: Sequence[tuple[int, NDArray[np.float32]]],
    nums: NDArray[np.integer[Any]],
    dim: int,
    room: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """(n, dim) the first `dim` numbers of some rows, a copy; repeats are allowed, rows of no shard are zero.

    Args:
        shards: (first row, (rows, at least dim) float32), apart from each other.
        nums: (n,) rows in any order.
        dim: Numbers of each.
        room: (at least n, dim) where the copy is written; None: in new memory.
    """
    found = np.empty((len(nums), dim), dtype=np.float32) if room is None else room[: len(nums)]
    if sum(_put(vectors, first, nums, found) for first, vectors in shards) < len(nums):
        somewhere = np.zeros(len(nums), dtype=np.bool_)
        for first, vectors in shards:
            somewhere |= (nums >= first) & (nums < first + len(vectors))
        found[~somewhere] = 0
    return found


@uncounted
def _put(vectors: Any, first: Any, nums: Any, found: Any) -> Any:
    """How many rows lie in the shard."""
    n_put = 0
    for row in range(len(nums)):
        later = nums[min(row + _AHEAD, len(nums) - 1)] - first
        if 0 <= later < len(vectors):
            for column in range(0, found.shape[1], _LINE):
                fetch(vectors[later], column)
        at = nums[row] - first
        if 0 <= at < len(vectors):
            n_put += 1
            for column in range(found.shape[1]):
                found[row, column] = vectors[at, column]
    return n_put
