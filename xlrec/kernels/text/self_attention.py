"""Self-attention of many texts behind one another: all of a text attends to all of it, and to nothing else."""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.simd import value_at
from xlrec.kernels.base.simd_tiles import LANES, ROWS, highest, multiply, power_of_two, put

_LOWEST: Final = np.float32(-87.0)  # whose exponential is the least that float32 holds as a normal number
_TWO: Final = np.float32(1.44269504088896341)  # 1 / ln 2
_LN2_HIGH: Final = np.float32(0.693359375)
_LN2_LOW: Final = np.float32(-2.12194440e-4)
_HALF, _ONE = np.float32(0.5), np.float32(1.0)
#: Of e^x = 1 + x + x² · polynomial where |x| ≤ ln 2 / 2, the highest power first. Source: Cephes, expf.
_C5, _C4, _C3 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_C2, _C1, _C0 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)


def attend(tokens: NDArray[Any], lengths: NDArray[np.int64], n_heads: int, scale: float) -> NDArray[Any]:
    """(n_tokens, width) softmax(scale · query keyᵀ) value of each text and head, in the type of `tokens`; 0 after all.

    Sums are float32 whatever the type, and a text's numbers are the same bits whatever its neighbours.

    Args:
        tokens: (n_tokens, 3 width) queries, keys and values side by side, of each the heads side by side; contiguous,
            float32, or uint16: the bits of bfloat16.
        lengths: (n_texts,) tokens of each text, at least 1; the sum is at most n_tokens.
        n_heads: divides the width.
        scale: of the products of queries and keys.
    """
    out = np.empty((len(tokens), tokens.shape[1] // 3), tokens.dtype)
    _attend(tokens, lengths, n_heads, np.float32(scale), out)
    return out


@njit(cache=True, nogil=True, fastmath={"contract"})
def _attend(tokens: Any, lengths: Any, n_heads: Any, scale: Any, out: Any) -> None:
    width = out.shape[1]
    size, step = width // n_heads, 3 * width
    padded, longest = (size + LANES - 1) // LANES * LANES, (lengths.max() + ROWS - 1) // ROWS * ROWS
    # What fills these up is 0, or of another text, and nobody reads what becomes of it.
    keys, values = np.zeros((longest, padded), np.float32), np.zeros((longest, padded), np.float32)
    queries, weights = np.zeros((size, LANES), np.float32), np.zeros((longest, LANES), np.float32)
    found, totals = np.zeros((LANES, padded), np.float32), np.zeros(LANES, np.float32)
    line, tops = np.zeros(size, np.float32), np.zeros(LANES, np.float32)
    start = 0
    for n in lengths:
        for head in range(n_heads):
            begin = start * step + head * size
            _read(tokens, begin + width, step, n, size, keys)
            _read(tokens, begin + 2 * width, step, n, size, values)
            for first in range(0, n, LANES):
                n_queries = min(LANES, n - first)
                _read_across(tokens, begin + first * step, step, n_queries, scale, line, queries)
                for j in range(0, n, ROWS):
                    multiply(keys, (j * padded, padded, 1), queries, (0, LANES), size, weights, (j * LANES, LANES))
                _soften(weights, n, tops, totals)
                for lane in range(0, n_queries, ROWS):
                    for d in range(0, padded, LANES):
                        place = (lane * padded + d, padded)
                        multiply(weights, (lane, 1, LANES), values, (d, padded), n, found, place)
                _write(found, totals, n_queries, size, out, (start + first) * width + head * size)
        start += n
    out[start:] = 0


@njit(cache=True, nogil=True)
def _read(tokens: Any, begin: Any, step: Any, n: Any, size: Any, rows: Any) -> None:
    """Fills the first n rows with `size` numbers of a head each."""
    for j in range(n):
        for d in range(size):
            rows[j, d] = value_at(tokens, begin + j * step + d)


@njit(cache=True, nogil=True)
def _read_across(tokens: Any, begin: Any, step: Any, n: Any, scale: Any, line: Any, columns: Any) -> None:
    """Fills the first n columns with the scaled numbers of a head each; `line` holds one of them meanwhile."""
    for lane in range(n):
        for d in range(len(line)):
            line[d] = value_at(tokens, begin + lane * step + d) * scale
        for d in range(len(line)):
            columns[d, lane] = line[d]


@njit(cache=True, nogil=True)
def _write(found: Any, totals: Any, n: Any, size: Any, out: Any, begin: Any) -> None:
    """Puts the first n rows over their totals into a head's place."""
    for lane in range(n):
        share = _ONE / totals[lane]
        for d in range(size):
            put(out, begin + lane * out.shape[1] + d, found[lane, d] * share)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _soften(weights: Any, n: Any, tops: Any, totals: Any) -> None:
    """Makes the first n rows e^(weight - highest of its column), and fills totals (LANES,) with the columns' sums."""
    highest(weights, n, tops)
    totals[:] = 0
    for j in range(n):
        for lane in range(LANES):
            x = weights[j, lane] - tops[lane]
            x = _LOWEST if x < _LOWEST else x  # NaN stays
            whole = np.floor(x * _TWO + _HALF)
            x = x - whole * _LN2_HIGH - whole * _LN2_LOW
            y = ((((_C5 * x + _C4) * x + _C3) * x + _C2) * x + _C1) * x + _C0
            y = (y * x * x + x + _ONE) * power_of_two(np.int32(whole))
            weights[j, lane] = y
            totals[lane] += y
