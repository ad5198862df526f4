"""Which items are copies of better ones: near-duplicates, and one product under several item_ids."""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

_EPSILON: Final = float(np.finfo(np.float32).eps)


def collapse(vectors: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Which items stay when near-duplicates fall out, walking from the best item on.

    An item falls out when its cosine with one that stays, and is better, reaches the threshold; a chain of items that
    are each near the next only is so not all one. A zero vector is near nothing. A float32 matrix product finds the
    pairs that may be near; each is then decided in float64 with a fixed order of the sum, so that the answer does not
    depend on the BLAS.

    Args:
        vectors: (n, dim) float32, best item first, of any norm.
        threshold: Smallest cosine of near-duplicates, > 0; 1 = the same direction exactly.

    Returns:
        (n,) bool.
    """
    margin = 4 * (vectors.shape[1] + 4) * _EPSILON  # error bound of a float32 sum over dim, with room
    kept: NDArray[np.bool_] = _walk(vectors, vectors @ vectors.T, threshold, margin)
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
    kept, squares, norms = np.ones(n, dtype=np.bool_), np.empty(n), np.empty(n)
    for i in range(n):
        squares[i] = _dot(vectors[i], vectors[i])
        norms[i] = np.sqrt(squares[i])
        for j in range(i):
            if not kept[j] or gram[i, j] < (threshold - margin) * norms[i] * norms[j]:
                continue
            dot = _dot(vectors[i], vectors[j])
            # Squares, not roots: a copy then has a cosine of exactly 1.
            if dot > 0 and dot * dot >= threshold * threshold * squares[i] * squares[j]:
                kept[i] = False
                break
    return kept
