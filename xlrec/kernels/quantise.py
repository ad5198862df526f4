"""Product quantisation: a row is a norm and one byte for each of its parts. Source: Jégou et al. 2011."""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
N_CENTROIDS = 256


@njit(cache=True, fastmath=True)
def nearest(points: Floats, centroids: Floats) -> Bytes:
    """(n,) number of the nearest of (≤ 256, part) centroids of each of (n, part) points; ties to the lower one."""
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


def quantise(
    table: Floats, weights: Floats, n_parts: int, seed: int, n_sample: int = 65_536, n_rounds: int = 12
) -> tuple[Floats, Bytes, Floats]:
    """(norms (n,), codes (n, n_parts), codebooks (n_parts, 256, dim / n_parts)), float32 and uint8.

    Args:
        table: (n, dim), dim a multiple of n_parts.
        weights: (n,) how much an error of a row matters.
        n_parts: bytes of a row.
        seed: of the rows that the centroids start from.
        n_sample: rows that the centroids are fitted on.
        n_rounds: of k-means.
    """
    n, dim = table.shape
    norms = np.linalg.norm(table, axis=1).astype(np.float32)
    directions = table / np.maximum(norms, 1e-12)[:, None]
    rng = np.random.default_rng([seed, 5])
    sample = np.sort(rng.permutation(n)[:n_sample])
    part = dim // n_parts
    codes = np.empty((n, n_parts), dtype=np.uint8)
    books = np.zeros((n_parts, N_CENTROIDS, part), dtype=np.float32)
    for number in range(n_parts):
        points = np.ascontiguousarray(directions[:, number * part : (number + 1) * part])
        fitted = points[sample]
        start = fitted[rng.permutation(len(sample))[:N_CENTROIDS]]
        for _ in range(n_rounds):
            start = _means(fitted, weights[sample], nearest(fitted, start), start)
        books[number, : len(start)] = start
        codes[:, number] = nearest(points, start)
    return norms, codes, books


def restored(norms: Floats, codes: Bytes, books: Floats) -> Floats:
    """(n, dim) float32, the table that the codes stand for."""
    parts = [books[number][codes[:, number]] for number in range(codes.shape[1])]
    return np.asarray(np.concatenate(parts, axis=1) * norms[:, None], dtype=np.float32)


@njit(cache=True)
def coded_means(
    norms: Floats, codes: Bytes, books: Floats, numbers: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]
) -> Floats:
    """(n_bags, dim) float32 mean of the rows of each bag, read from their codes; zero for an empty bag."""
    n_parts, part = books.shape[0], books.shape[2]
    means = np.zeros((len(offsets) - 1, n_parts * part), dtype=np.float32)
    for bag in range(len(offsets) - 1):
        size = offsets[bag + 1] - offsets[bag]
        for place in range(offsets[bag], offsets[bag + 1]):
            row = numbers[place]
            for number in range(n_parts):
                code = codes[row, number]
                for k in range(part):
                    means[bag, number * part + k] += norms[row] * books[number, code, k]
        if size:
            means[bag] /= np.float32(size)
    return means
