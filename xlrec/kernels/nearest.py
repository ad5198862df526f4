"""How near each item is to what a list has taken: bounds from float32 products, made exact only where they do not tell.

The nearest cosine of an item only grows as the list does, so that bounds of an earlier step still bound it from below.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.diversity import product

_LEAST: Final = -1.01  # below every cosine


class Nearest(NamedTuple):
    """Of n items, each of unit norm or zero, to the items taken so far; cosines with a zero vector are 0."""

    low: NDArray[np.float64]
    """(n,) at most the largest cosine, and so for all later steps."""
    high: NDArray[np.float64]
    """(n,) at least the largest cosine with the first `done` items taken."""
    done: NDArray[np.int64]
    """(n,)."""
    cosines: NDArray[np.float32]
    """(n, k) products with the first `done` items taken."""
    lengths: NDArray[np.float64]
    """(n,) norms, NaN where not asked for yet."""

    @staticmethod
    def of(n: int, k: int) -> "Nearest":
        """Nothing is taken: 0 for all."""
        zeros = np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64)
        return Nearest(*zeros, np.empty((n, k), dtype=np.float32), np.full(n, np.nan))


@njit(cache=True)
def begin(near: Any) -> None:
    """The first item was taken: nothing is known of any cosine with it."""
    near.low[:] = _LEAST
    near.high[:] = _LEAST


@njit(cache=True)
def catch_up(i: Any, taken: Any, near: Any, vectors: Any, head: Any, margin: Any) -> None:
    """Brings an item's bounds up to date with all items taken."""
    for place in range(near.done[i], len(taken)):
        cosine = product(vectors, head, i, taken[place])
        near.cosines[i, place] = cosine
        near.low[i] = max(near.low[i], cosine - margin)
        near.high[i] = max(near.high[i], cosine + margin)
    near.done[i] = len(taken)


@njit(cache=True)
def _length(i: Any, vectors: Any, lengths: Any) -> Any:
    if np.isnan(lengths[i]):
        square = 0.0
        for d in range(vectors.shape[1]):
            square += np.float64(vectors[i, d]) * np.float64(vectors[i, d])
        lengths[i] = np.sqrt(square)
    return lengths[i]


@njit(cache=True)
def exactly(i: Any, taken: Any, near: Any, vectors: Any, margin: Any) -> Any:
    """Largest cosine of an item that is up to date: float64 sums in order over dim, of those that may be it."""
    nearest = -np.inf
    for place in range(len(taken)):
        if near.cosines[i, place] + margin < near.low[i]:
            continue
        other = taken[place]
        cosine, both = 0.0, _length(i, vectors, near.lengths) * _length(other, vectors, near.lengths)
        for d in range(vectors.shape[1]):
            cosine += np.float64(vectors[i, d]) * np.float64(vectors[other, d])
        nearest = max(nearest, cosine / both if both > 0 else 0.0)
    return nearest
