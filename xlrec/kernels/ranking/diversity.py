"""Near-duplicates among a user's candidates: near-copies, and one product under several item_ids."""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.numba_options import njit_without_refcounts
from xlrec.kernels.search.exact_scores import dot_by_simd

_EPSILON: Final = float(np.finfo(np.float32).eps)


def keep_distinct(vectors: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """(n,) bool: items that are no near-duplicate of a better item that stays.

    `vectors` are (n, dim) float32, best item first, of any norm. Decided from the best item on: an item falls out when
    its cosine with a better one that stays reaches the threshold, > 0; 1 is the same direction exactly. A chain of
    items, each near the next only, therefore does not fall out as a whole. A zero vector is near nothing. float32
    products find the pairs that may be near. Each is then decided in float64 with a fixed order of the sum, so that the
    answer does not depend on the BLAS.
    """
    kept = np.ones(len(vectors), dtype=np.bool_)
    rounding = 4 * (vectors.shape[1] + 4) * _EPSILON  # of a float32 sum, as a part of both norms, with room
    _keep_distinct(np.ascontiguousarray(vectors), vectors @ vectors.T, threshold, rounding, kept)
    return kept


@njit(cache=True)
def _keep_distinct(vectors: Any, products: Any, threshold: Any, rounding: Any, kept: Any) -> None:
    """Writes `kept`; a near pair's product is at least that of both `least`, NaN where any product may be one."""
    least = np.empty(len(kept), dtype=np.float32)
    for i in range(len(kept)):
        square = np.float64(max(products[i, i], np.float32(0.0)))
        least[i] = np.sqrt(square * (1 - rounding) * (threshold - rounding)) if threshold > rounding else np.nan
        if _n_near(products[i], least, i) > 0:
            kept[i] = not _near_kept(i, vectors, products[i], least, threshold, kept)


@njit_without_refcounts
def _n_near(products: Any, least: Any, i: Any) -> Any:
    """Better items that may be near."""
    n_near, own = np.int32(0), least[i]
    for j in range(i):  # branchless, so that it becomes vector instructions; nearly always there is none
        n_near += np.int32(0) if products[j] < own * least[j] else np.int32(1)
    return n_near


@njit(cache=True)
def _near_kept(i: Any, vectors: Any, products: Any, least: Any, threshold: Any, kept: Any) -> Any:
    """Whether the item is near a better one that stays."""
    wide = vectors[i].astype(np.float64)
    square = dot_by_simd(wide, vectors[i])
    for j in range(i):
        if kept[j] and not products[j] < least[i] * least[j]:
            dot = dot_by_simd(wide, vectors[j])
            # Squares, not roots: a copy then has a cosine of exactly 1.
            other = dot_by_simd(vectors[j].astype(np.float64), vectors[j])
            if dot > 0 and dot * dot >= threshold * threshold * square * other:
                return True
    return False
