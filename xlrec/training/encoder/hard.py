"""Hard negatives: texts that the current model takes for near one another come into one batch."""

import numpy as np
import numpy.typing as npt

_BLOCK = 2048


def clusters_of_like(
    rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32], size: int = 4
) -> npt.NDArray[np.int64]:
    """(n_rows, size) each row and those whose vectors are nearest to its own; ties by lower row.

    Args:
        rows: (n_rows,) numbers of texts, all different.
        vectors: (n_rows, dim) unit norm.
        size: rows of a cluster; fewer where there are no more.
    """
    size = min(size, len(rows))
    found = np.empty((len(rows), size), dtype=np.int64)
    for start in range(0, len(rows), _BLOCK):
        scores = vectors[start : start + _BLOCK] @ vectors.T
        here = np.arange(len(scores))
        scores[here, start + here] = np.inf  # each is its own first
        best = np.argpartition(-scores, size - 1, axis=1)[:, :size]
        order = np.lexsort((best, -np.take_along_axis(scores, best, axis=1)), axis=1)
        found[start : start + _BLOCK] = rows[np.take_along_axis(best, order, axis=1)]
    return found
