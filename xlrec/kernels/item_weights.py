"""Item-to-item weights learnt in closed form: each item regressed on the items that most of its users also chose.

EASE (Steck 2019) inverts the Gram matrix of all items; here each item has a ridge regression of its own, on its
nearest co-chosen items (fsSLIM, Ning and Karypis 2011). Cost grows with items × neighbours³ instead of items³.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.csr import indptr_of, owners_of

#: Weights smaller than this say nothing: solving leaves them where the true weight is 0.
_LEAST: Final = 1e-12


class Gram(NamedTuple):
    """Items × items as CSR, symmetric, `nums` ascending within a row: how many users chose both; users may be weighed.

    The diagonal, how many chose the item, is stored for every item that anybody chose.
    """

    indptr: NDArray[np.int64]
    nums: NDArray[np.int32]
    counts: NDArray[np.float64]


def neighbour_weights(
    gram: Gram, penalty: float, n_predictors: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """History items, items, and the weight of the first in the score of the second; by item, then history item.

    score(u, i) = Σ_h weight(h, i) over the items h of u's history. The weights of item i are
    (G_NN + penalty)⁻¹ G_Ni over its predictors N: the `n_predictors` items with the largest G_hi / √G_hh, ties by
    item_num; an item never predicts itself. With N = all items, i is predicted as by EASE without its own column.

    Args:
        gram: Of the logs.
        penalty: Added to the diagonal, above 0; the larger, the more alike the weights of items that come together.
        n_predictors: Per item, at least 1.
    """
    diagonal = np.zeros(len(gram.indptr) - 1)
    owners = owners_of(gram.indptr)
    own = owners == gram.nums
    diagonal[owners[own]] = gram.counts[own]
    sizes = np.minimum(np.diff(gram.indptr), n_predictors)
    bounds = indptr_of(sizes)
    nums, weights = np.full(bounds[-1], -1, dtype=np.int32), np.zeros(bounds[-1])
    _regress(*gram, diagonal, penalty, bounds, nums, weights)
    kept = (nums >= 0) & (np.abs(weights) > _LEAST)
    return nums[kept], owners_of(bounds)[kept].astype(np.int32), weights[kept]


@njit(cache=True)
def _regress(indptr: Any, nums: Any, counts: Any, diagonal: Any, penalty: Any, bounds: Any, near: Any, found: Any):  # type: ignore[no-untyped-def]
    places = np.full(len(diagonal), -1, np.int64)  # of each predictor of the item at hand
    for item in range(len(diagonal)):
        chosen = _predictors(item, indptr, nums, counts, diagonal, bounds[item + 1] - bounds[item])
        n = len(chosen)
        if n == 0:
            continue
        for row in range(n):
            places[chosen[row]] = row
        inner, right = np.zeros((n, n)), np.zeros(n)
        for row in range(n):
            inner[row, row] = penalty
            for at in range(indptr[chosen[row]], indptr[chosen[row] + 1]):
                if places[nums[at]] >= 0:
                    inner[row, places[nums[at]]] += counts[at]
                elif nums[at] == item:
                    right[row] = counts[at]
        weights = np.linalg.solve(inner, right)
        for row in range(n):
            near[bounds[item] + row], found[bounds[item] + row] = chosen[row], weights[row]
            places[chosen[row]] = -1


@njit(cache=True)
def _predictors(item, indptr, nums, counts, diagonal, most):  # type: ignore[no-untyped-def]
    """Items, ascending."""
    first, last = indptr[item], indptr[item + 1]
    others, closeness, n = np.empty(last - first, np.int32), np.empty(last - first), 0
    for at in range(first, last):
        if nums[at] != item:
            others[n], closeness[n] = nums[at], counts[at] / np.sqrt(diagonal[nums[at]])
            n += 1
    order = np.argsort(-closeness[:n], kind="mergesort")[:most]
    return np.sort(others[order])
