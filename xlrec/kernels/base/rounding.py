"""Rows rounded to bfloat16 or int8 with their rounding errors, and norms of rows."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, fastmath={"reassoc"})
def _distance(left, right):  # type: ignore[no-untyped-def]
    """float64 Euclidean distance of two float32 rows."""
    total = 0.0
    for j in range(len(left)):
        apart = np.float64(left[j] - right[j])
        total += apart * apart
    return np.sqrt(total)


@njit(cache=True, fastmath={"reassoc"})
def row_norms(rows):  # type: ignore[no-untyped-def]
    """(n,) float64 Euclidean norms of (n, dim) float32 rows; NaN or inf where a row is not finite."""
    norms = np.empty(len(rows))
    for row in range(len(rows)):
        total = 0.0
        for j in range(rows.shape[1]):
            total += np.float64(rows[row, j]) * np.float64(rows[row, j])
        norms[row] = np.sqrt(total)
    return norms


@njit(cache=True)
def to_bf16(bits, rows, rounded, distances):  # type: ignore[no-untyped-def]
    """Fill `rounded` with the nearest bfloat16, ties to even; subnormals become 0, and NaN becomes another number.

    Args:
        bits: (n, dim) uint32 view of `rows`.
        rows: (n, dim) float32.
        rounded: (n, dim) uint16, filled.
        distances: (n,) float64, filled with ‖row - rounded row‖.
    """
    wide = np.empty(rows.shape[1], np.uint32)
    near = wide.view(np.float32)
    for row in range(len(rows)):
        for j in range(rows.shape[1]):
            raw = bits[row, j]
            odd = np.uint32(np.uint32(raw >> np.uint32(16)) & np.uint32(1))
            half = np.uint32(np.uint32(raw + odd) + np.uint32(0x7FFF))
            top = np.uint32(half & np.uint32(0xFFFF0000))
            top = top if np.uint32(top & np.uint32(0x7F800000)) != 0 else np.uint32(0)
            wide[j] = top
            rounded[row, j] = np.uint16(top >> np.uint32(16))
        distances[row] = _distance(rows[row], near)


@njit(cache=True)
def to_int8(rows, rounded, scales, distances):  # type: ignore[no-untyped-def]
    """Fill `rounded` with the nearest multiples of each row's scale, its peak over 127; 0 where a row is not finite.

    Args:
        rows: (n, dim) float32.
        rounded: (n, dim) int8, filled.
        scales: (n,) float32, filled.
        distances: (n,) float64, filled with ‖row - scale · rounded row‖.
    """
    near = np.empty(rows.shape[1], np.float32)
    for row in range(len(rows)):
        peak = np.float32(0)
        for j in range(rows.shape[1]):
            peak = max(peak, abs(rows[row, j]))
        if not np.isfinite(rows[row]).all():
            peak = np.float32(0)
        scale = np.float32(peak / np.float32(127))
        inverse = np.float32(1) / scale if scale > 0 else np.float32(0)
        if not np.isfinite(inverse):
            scale, inverse = np.float32(0), np.float32(0)
        for j in range(rows.shape[1]):
            whole = np.rint(rows[row, j] * inverse) if scale > 0 else np.float32(0)
            whole = min(max(whole, np.float32(-127)), np.float32(127))
            near[j] = whole * scale
            rounded[row, j] = np.int8(whole)
        scales[row] = scale
        distances[row] = _distance(rows[row], near)


def query_norms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) float64 Euclidean norms of (n, dim) float64 rows of any scale; NaN where a row is not finite."""
    peaks = np.abs(rows).max(axis=1, initial=0.0)
    scales = np.where(peaks > 0, peaks, 1.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.linalg.norm(rows / scales[:, None], axis=1) * scales)


def unit_rows(rows: NDArray[np.float64], norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n, dim) float32 unit rows of (n, dim) float64 rows and (n,) float64 norms; 0 stays 0, NaN where a norm is."""
    with np.errstate(invalid="ignore"):
        return (rows / np.where(norms == 0, 1.0, norms)[:, None]).astype(np.float32)
