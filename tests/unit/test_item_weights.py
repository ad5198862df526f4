"""Item-to-item weights: EASE where every item predicts, plain ridge regressions elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.csr import indptr_of
from xlrec.kernels.item_weights import Gram, neighbour_weights


def gram_of(rows: np.ndarray) -> tuple[np.ndarray, Gram]:
    dense = (rows.T @ rows).astype(np.float64)
    owners, nums = np.nonzero(dense)
    indptr = indptr_of(np.bincount(owners, minlength=len(dense)))
    return dense, Gram(indptr, nums.astype(np.int32), dense[owners, nums])


def dense_weights(gram: Gram, penalty: float, n_predictors: int) -> np.ndarray:
    n_items = len(gram.indptr) - 1
    found = np.zeros((n_items, n_items))
    history, items, weights = neighbour_weights(gram, penalty, n_predictors)
    found[history, items] = weights
    return found


def ease(dense: np.ndarray, penalty: float) -> np.ndarray:
    """Steck 2019, eq. 8."""
    inverse = np.linalg.inv(dense + penalty * np.eye(len(dense)))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("penalty", [0.5, 10.0])
def test_with_every_item_as_predictor_it_is_ease(penalty: float) -> None:
    rows = (np.random.default_rng(1).random((60, 9)) < 0.5).astype(np.float64)
    dense, gram = gram_of(rows)
    assert (dense > 0).all()  # else an item that is never chosen with another could not predict it
    np.testing.assert_allclose(dense_weights(gram, penalty, 9), ease(dense, penalty), atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.02, 0.6), n_predictors=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_each_item_is_a_ridge_regression_on_its_nearest(seed: int, share: float, n_predictors: int) -> None:
    rng = np.random.default_rng(seed)
    dense, gram = gram_of((rng.random((15, 12)) < share).astype(np.float64))
    expected = np.zeros((12, 12))
    for item in range(12):
        near = [h for h in range(12) if h != item and dense[h, item] > 0]
        near = sorted(near, key=lambda h: (-dense[h, item] / np.sqrt(dense[h, h]), h))[:n_predictors]
        if near:
            inner = dense[np.ix_(near, near)] + 2.0 * np.eye(len(near))
            expected[near, item] = np.linalg.solve(inner, dense[near, item])
    np.testing.assert_allclose(dense_weights(gram, 2.0, n_predictors), expected, atol=1e-9)


def test_no_logs_make_no_weights() -> None:
    assert [len(one) for one in neighbour_weights(gram_of(np.zeros((3, 4)))[1], 1.0, 5)] == [0, 0, 0]
