"""Scores of chosen pairs: the same bits as a plain loop, however the vectors lie in memory."""

import numpy as np
import pytest
from numpy.typing import NDArray

from xlrec.kernels.search.topk import inner_products


def in_order(left: NDArray[np.float64], right: NDArray[np.float32]) -> float:
    """Eight running sums, joined from first to last, then what is left over."""
    sums, whole, rest = [0.0] * 8, len(left) // 8 * 8, 0.0
    for j in range(whole):
        sums[j % 8] += float(left[j]) * float(right[j])
    for j in range(whole, len(left)):
        rest += float(left[j]) * float(right[j])
    pairs = [sums[j] + sums[j + 1] for j in range(0, 8, 2)]
    return ((pairs[0] + pairs[1]) + (pairs[2] + pairs[3])) + rest


@pytest.mark.parametrize("n_shards", [1, 3, 40])
@pytest.mark.parametrize("laid", ["rows", "cut", "columns", "reversed"])
def test_inner_products_are_summed_in_one_order_however_the_vectors_lie(n_shards: int, laid: str) -> None:
    rng = np.random.default_rng(n_shards)
    whole = rng.normal(size=(120, 35)), rng.normal(size=(90, 35)).astype(np.float32)
    cut = {"rows": slice(None), "cut": slice(7, 30), "columns": slice(None), "reversed": slice(None, None, -1)}[laid]
    queries, items = (np.asfortranarray(one) if laid == "columns" else one[:, cut] for one in whole)
    size = -(-len(items) // n_shards)
    shards = [(first, items[first : first + size]) for first in range(0, len(items), size)]
    rows, nums = rng.integers(0, len(queries), 300), rng.integers(0, len(items) + 5, 300)
    found = inner_products(queries, rows, nums, shards)
    expected = [in_order(queries[a], items[b]) if b < len(items) else np.nan for a, b in zip(rows, nums, strict=True)]
    np.testing.assert_array_equal(found, expected)
