"""How near each item is to what a list has taken: bounds from float32 products, made exact only where they do not tell.

The nearest cosine of an item only grows as the list does, so that bounds of an earlier step still bound it from below.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.numba_options import uncounted
from xlrec.kernels.ranking.diversity import exact_product, product

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


@uncounted
def begin(low: Any, high: Any) -> None:
    """The first item was taken: nothing is known of any cosine with it."""
    low[:] = _LEAST
    high[:] = _LEAST


@uncounted
def meet(
    i: Any, other: Any, low: Any, high: Any, done: Any, cosines: Any, vectors: Any, head: Any, margin: Any
) -> None:
    """Brings an item's bounds up to date with the first item taken that they do not know yet."""
    cosine = product(vectors, head, i, other)
    cosines[i, done[i]] = cosine
    low[i], high[i] = max(low[i], cosine - margin), max(high[i], cosine + margin)
    done[i] += 1


@uncounted
def _length(i: Any, vectors: Any, lengths: Any) -> Any:
    if np.isnan(lengths[i]):
        lengths[i] = np.sqrt(exact_product(vectors, i, i))
    return lengths[i]


@uncounted
def exactly(i: Any, taken: Any, n_taken: Any, low: Any, cosines: Any, lengths: Any, vectors: Any, margin: Any) -> Any:
    """Largest cosine of an item that is up to date: float64 sums in order over dim, of those that may be it."""
    nearest = -np.inf
    for place in range(n_taken):
        if cosines[i, place] + margin < low[i]:
            continue
        other = taken[place]
        both = _length(i, vectors, lengths) * _length(other, vectors, lengths)
        nearest = max(nearest, exact_product(vectors, i, other) / both if both > 0 else 0.0)
    return nearest
