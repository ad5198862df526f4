"""Sums have numpy's bits: a slice of users at once gives what a call for each gave."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.base.sums import sums_of


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 20) | st.integers(100, 700), max_size=5))
def test_each_rows_sum_has_the_bits_of_numpys(seed: int, sizes: list[int]) -> None:
    rng, indptr = np.random.default_rng(seed), indptr_of(np.array(sizes, dtype=np.int64))
    values = rng.normal(size=indptr[-1]) * 10.0 ** rng.integers(-8, 8, indptr[-1])
    expected = [values[indptr[row] : indptr[row + 1]].sum() for row in range(len(sizes))]
    assert sums_of(values, indptr).tolist() == expected
