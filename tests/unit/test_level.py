"""Rows of one length and mean zero, which keep their own numbers."""

import numpy as np
import pytest

from xlrec.kernels.base.level import common_length, levelled


@pytest.mark.parametrize("n_more", [2, 16])
def test_levelled_rows_have_one_length_mean_zero_and_their_own_numbers_first(n_more: int) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    rows[7] = 0.0
    length = common_length(rows, n_more)
    found = levelled(rows, n_more, length)
    assert found.shape == (50, 6 + n_more)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), length, rtol=1e-5)
    np.testing.assert_allclose(found.mean(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(found[:, :6], rows, rtol=1e-5)


def test_layer_normalisation_scales_all_levelled_rows_alike() -> None:
    rows = np.random.default_rng(1).standard_normal((20, 6)).astype(np.float32) * np.arange(1, 21)[:, None]
    found = levelled(rows.astype(np.float32), 4, common_length(rows.astype(np.float32), 4))
    normed = (found - found.mean(axis=1, keepdims=True)) / found.std(axis=1, keepdims=True)
    factors = normed[:, :6] / rows
    np.testing.assert_allclose(factors, factors[0, 0], rtol=1e-4)


def test_a_row_that_is_too_long_is_shortened_and_keeps_its_direction() -> None:
    rows = np.array([[3.0, 4.0, 0.0], [30.0, -40.0, 20.0]], dtype=np.float32)
    found = levelled(rows, 2, 10.0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 10.0, rtol=1e-5)
    np.testing.assert_allclose(found[0, :3], rows[0])
    np.testing.assert_allclose(
        found[1, :3] / np.linalg.norm(found[1, :3]), rows[1] / np.linalg.norm(rows[1]), atol=1e-6
    )
    assert np.linalg.norm(found[1, :3]) < 10.0
