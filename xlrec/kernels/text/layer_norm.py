"""A residual and its layer normalisation in one pass."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.simd import value_at
from xlrec.kernels.base.simd_tiles import put


def add_and_normalise(
    left: NDArray[Any], right: NDArray[Any], weight: NDArray[np.float32], bias: NDArray[np.float32], eps: float
) -> NDArray[Any]:
    """(n, width) rows of left + right less their mean, over √(variance + eps), times weight, plus bias.

    Sums are float32 whatever the type; a row's bits hang on the row alone.

    Args:
        left: (n, width) float32, or uint16: the bits of bfloat16; contiguous, as the next.
        right: (n, width) of the same type.
        weight: (width,).
        bias: (width,).
        eps: above 0.
    """
    out = np.empty(left.shape, left.dtype)
    _add_and_normalise(left, right, weight, bias, np.float32(eps), out)
    return out


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _add_and_normalise(left: Any, right: Any, weight: Any, bias: Any, eps: Any, out: Any) -> None:
    width = left.shape[1]
    line, one, none = np.empty(width, np.float32), np.float32(1), np.float32(0)
    share = one / np.float32(width)
    for row in range(len(left)):
        total, square = none, none
        for j in range(width):
            line[j] = value_at(left, row * width + j) + value_at(right, row * width + j)
            total += line[j]
        mean = total * share
        for j in range(width):
            square += (line[j] - mean) * (line[j] - mean)
        scale = one / np.sqrt(square * share + eps)
        for j in range(width):
            put(out, row * width + j, (line[j] - mean) * scale * weight[j] + bias[j])
