"""Which items are copies of better ones: near-duplicates, and one product under several item_ids."""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

_EPSILON: Final = float(np.finfo(np.float32).eps)


def products(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, n) float32 inner products of all pairs, within `roundoff` of the exact ones times both norms."""
    return vectors @ vectors.T


def roundoff(dim: int) -> float:
    """What a float32 sum over dim is off by at most, with room, as a part of both norms."""
    return 4 * (dim + 4) * _EPSILON


def collapse(
    vectors: NDArray[np.float32], threshold: float, gram: NDArray[np.float32] | None = None
) -> NDArray[np.bool_]:
    """Which items stay when near-duplicates fall out, walking from the best item on.

    An item falls out when its cosine with one that stays, and is better, reaches the threshold; a chain of items that
    are each near the next only is so not all one. A zero vector is near nothing. A float32 matrix product finds the
    pairs that may be near; each is then decided in float64 with a fixed order of the sum, so that the answer does not
    depend on the BLAS.

    Args:
        vectors: (n, dim) float32, best item first, of any norm.
        threshold: Smallest cosine of near-duplicates, > 0; 1 = the same direction exactly.
        gram: `products(vectors)`, where known.

    Returns:
        (n,) bool.
    """
    gram = products(vectors) if gram is None else gram
    kept: NDArray[np.bool_] = _walk(vectors, gram, threshold, roundoff(vectors.shape[1]))
    return kept


@njit(cache=True)
def _dot(a: Any, b: Any) -> Any:
    total = 0.0
    for d in range(len(a)):
        total += np.float64(a[d]) * np.float64(b[d])
    return total


@njit(cache=True)
def _walk(vectors: Any, gram: Any, threshold: Any, margin: Any) -> Any:
    n = len(vectors)
    kept, squares, least = np.ones(n, dtype=np.bool_), np.full(n, -1.0), np.empty(n, dtype=np.float32)
    rules_out = threshold > margin
    for i in range(n):  # least[i] * least[j] is what the product of a near pair reaches, its rounding included
        least[i] = np.sqrt(max(gram[i, i], np.float32(0.0)) * (1 - margin) * max(threshold - margin, 0.0))
    for i in range(n):
        row, bar = gram[i], least[i]
        for j in range(i):
            if (rules_out and row[j] < bar * least[j]) or not kept[j]:
                continue
            for one in (i, j):
                if squares[one] < 0:
                    squares[one] = _dot(vectors[one], vectors[one])
            dot = _dot(vectors[i], vectors[j])
            # Squares, not roots: a copy then has a cosine of exactly 1.
            if dot > 0 and dot * dot >= threshold * threshold * squares[i] * squares[j]:
                kept[i] = False
                break
    return kept
