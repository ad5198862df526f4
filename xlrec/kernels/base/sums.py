"""Sums in numpy's order, inside compiled loops: one call for many users gives the bits of a call of numpy for each."""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

_BLOCK: Final = 128  # numbers that numpy adds without cutting them in two


@njit(cache=True)
def numpy_sum(values: Any) -> Any:
    """Sum of float64 numbers, by halves as `numpy.sum` adds a contiguous array; 0 of none.

    Source: Higham 1993, "The accuracy of floating point summation" (pairwise summation); numpy's pairwise_sum.
    """
    n = len(values)
    if n > _BLOCK:
        half = n // 2 - n // 2 % 8
        return numpy_sum(values[:half]) + numpy_sum(values[half:])
    if n < 8:
        total = 0.0
        for i in range(n):
            total += values[i]
        return total
    a, b, c, d, e, f, g, h = values[0], values[1], values[2], values[3], values[4], values[5], values[6], values[7]
    whole = n - n % 8
    for i in range(8, whole, 8):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(whole, n):
        total += values[i]
    return total


def sums_of(values: NDArray[np.float64], indptr: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n_rows,) sum of each row of compressed sparse rows, in numpy's order."""
    found: NDArray[np.float64] = _sums_of(values, indptr)
    return found


@njit(cache=True)
def _sums_of(values: Any, indptr: Any) -> Any:
    found = np.empty(len(indptr) - 1)
    for row in range(len(found)):
        found[row] = numpy_sum(values[indptr[row] : indptr[row + 1]])
    return found
