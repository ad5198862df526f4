"""Product quantisation of a table: a norm and one byte for each part of a row; some rows have a second code.

Source: Jégou et al. 2011; the second code, of the first one's residual, is residual quantisation (Chen et al. 2010).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
N_CENTROIDS = 256
#: Rows that the centroids are fitted on, and rounds of k-means.
_N_SAMPLE, _N_ROUNDS = 65_536, 12


class Codes(NamedTuple):
    """n rows: `norms` (n,) float32, `codes` (n, n_parts) uint8, `books` (n_parts, 256, dim / n_parts) float32."""

    norms: Floats
    codes: Bytes
    books: Floats


class CodedTable(NamedTuple):
    """A quantised table: codes of every row, and codes of the residuals of some rows.

    `rows` are these (n_finer,) int64 rows, ascending. Codes hold the columns of the table in `order` (dim,) int64.
    """

    every: Codes
    rows: npt.NDArray[np.int64]
    finer: Codes
    order: npt.NDArray[np.int64]


@njit(cache=True, fastmath=True)
def nearest_centroids(points: Floats, centroids: Floats) -> Bytes:
    """(n,) uint8 nearest centroid of each point; ties to the lower one.

    Args:
        points: (n, part) float32.
        centroids: (n_centroids, part) float32, at most 256.
    """
    n_centroids, part = centroids.shape
    across = np.ascontiguousarray(centroids.T)  # inner loops run over the centroids, many at once
    halves = np.zeros(n_centroids, dtype=np.float32)
    for k in range(part):
        for number in range(n_centroids):
            halves[number] += np.float32(0.5) * across[k, number] * across[k, number]
    found = np.empty(len(points), dtype=np.uint8)
    scores = np.empty(n_centroids, dtype=np.float32)
    for row in range(len(points)):
        scores[:] = halves
        for k in range(part):
            value = points[row, k]
            for number in range(n_centroids):
                scores[number] -= value * across[k, number]
        found[row] = np.argmin(scores)
    return found


def _means(points: Floats, weights: Floats, codes: Bytes, centroids: Floats) -> Floats:
    """Weighted means of the points of each centroid; one without points stays."""
    totals = np.bincount(codes, weights=weights, minlength=len(centroids))
    moved = centroids.copy()
    for k in range(points.shape[1]):
        sums = np.bincount(codes, weights=weights * points[:, k], minlength=len(centroids))
        moved[totals > 0, k] = (sums[totals > 0] / totals[totals > 0]).astype(np.float32)
    return moved


def quantise(table: Floats, weights: Floats, n_parts: int, seed: int) -> Codes:
    """Codes of n_parts bytes for each row of a table.

    Args:
        table: (n, dim) float32, dim a multiple of n_parts.
        weights: (n,) float32 weights of the rows' errors.
        n_parts: bytes of a code.
        seed: of the sample and of the first centroids.
    """
    n, dim = table.shape
    norms = np.linalg.norm(table, axis=1).astype(np.float32)
    directions = table / np.maximum(norms, 1e-12)[:, None]
    rng = np.random.default_rng([seed, 5])
    sample = np.sort(rng.permutation(n)[:_N_SAMPLE])
    part = dim // n_parts
    codes = np.empty((n, n_parts), dtype=np.uint8)
    books = np.zeros((n_parts, N_CENTROIDS, part), dtype=np.float32)
    for number in range(n_parts):
        points = np.ascontiguousarray(directions[:, number * part : (number + 1) * part])
        fitted = points[sample]
        start = fitted[rng.permutation(len(sample))[:N_CENTROIDS]]
        for _ in range(_N_ROUNDS):
            start = _means(fitted, weights[sample], nearest_centroids(fitted, start), start)
        books[number, : len(start)] = start
        codes[:, number] = nearest_centroids(points, start)
    return Codes(norms, codes, books)


def balanced_order(variances: npt.NDArray[np.floating], n_parts: int) -> npt.NDArray[np.int64]:
    """(dim,) int64 columns, part after part, such that all parts have about the same product of variances.

    So each byte tells as much as another one. `variances` are (dim,), dim a multiple of n_parts; ties go to the lower
    column and to the lower part. Source: Ge et al. 2013, "Optimized product quantization", the parametric solution.
    """
    size = len(variances) // n_parts
    logs = np.log(np.maximum(variances, 1e-12))
    parts: list[list[int]] = [[] for _ in range(n_parts)]
    totals = np.zeros(n_parts)
    for column in np.argsort(-logs, kind="stable").tolist():
        part = int(np.argmin(totals))
        parts[part].append(column)
        totals[part] = np.inf if len(parts[part]) == size else totals[part] + logs[column] - logs.min() + 1e-9
    return np.array(parts, dtype=np.int64).reshape(-1)


def quantise_twice(table: Floats, weights: Floats, n_parts: int, rows: npt.NDArray[np.int64], seed: int) -> CodedTable:
    """Codes of all rows, and of the residuals of some.

    Those take twice the bytes, and their error is far smaller.

    Args:
        table: (n, dim) float32, dim a multiple of n_parts.
        weights: (n,) float32 weights of the rows' errors.
        n_parts: bytes of a code.
        rows: (n_finer,) int64 rows with a second code, ascending, distinct, maybe none.
        seed: as of `quantise`.
    """
    squares = table.astype(np.float64) ** 2
    squares /= np.maximum(squares.sum(axis=1, keepdims=True), 1e-12)
    order = balanced_order((squares * weights[:, None]).sum(axis=0), n_parts)
    ordered = np.ascontiguousarray(table[:, order])
    every = quantise(ordered, weights, n_parts, seed)
    rest = np.ascontiguousarray(ordered[rows] - _rows(every)[rows])
    return CodedTable(every, rows, quantise(rest, weights[rows], n_parts, seed), order)


def _rows(coded: Codes) -> Floats:
    """(n, dim) float32, the rows that the codes stand for."""
    norms, codes, books = coded
    parts = [books[number][codes[:, number]] for number in range(codes.shape[1])]
    return np.asarray(np.concatenate(parts, axis=1) * norms[:, None], dtype=np.float32)


def restored_table(coded: CodedTable) -> Floats:
    """(n, dim) float32, the table that the codes stand for."""
    ordered = _rows(coded.every)
    ordered[coded.rows] += _rows(coded.finer)
    table = np.empty_like(ordered)
    table[:, coded.order] = ordered
    return table


def coded_means(coded: CodedTable, numbers: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> Floats:
    """(n_bags, dim) float32 mean of the rows of each bag, read from their codes; zero for an empty bag.

    Args:
        coded: the quantised table.
        numbers: (n_entries,) int32 rows of the table, bag after bag.
        offsets: (n_bags + 1,) int64 bounds of the bags.
    """
    n_parts, _, part = coded.every.books.shape
    sums = np.zeros((len(offsets) - 1, n_parts * part), dtype=np.float32)
    _add(sums, *coded.every, numbers, offsets)
    if len(coded.rows):
        places = np.full(len(coded.every.norms), -1, dtype=np.int32)
        places[coded.rows] = np.arange(len(coded.rows), dtype=np.int32)
        _add(sums, *coded.finer, places[numbers], offsets)
    means = np.empty_like(sums)
    means[:, coded.order] = sums / np.maximum(np.diff(offsets), 1).astype(np.float32)[:, None]
    return means


@njit(cache=True)
def _add(sums, norms, codes, books, numbers, offsets):  # type: ignore[no-untyped-def]
    """Adds the rows of each bag, in order; a number below 0 adds nothing."""
    n_parts, part = books.shape[0], books.shape[2]
    for bag in range(len(offsets) - 1):
        for place in range(offsets[bag], offsets[bag + 1]):
            row = numbers[place]
            if row < 0:
                continue
            for number in range(n_parts):
                code = codes[row, number]
                for k in range(part):
                    sums[bag, number * part + k] += norms[row] * books[number, code, k]
