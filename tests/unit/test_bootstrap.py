"""Poisson bootstrap: weights from hashes, sums in pieces, intervals that cover, pairs that stay pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.evaluation import bootstrap

USERS = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, size=2000)


def means(values: bootstrap.Floats, weights: bootstrap.Floats) -> bootstrap.Floats:
    sums = bootstrap.replicate_sums(weights, values[:, None])
    return bootstrap.replicate_means(sums, bootstrap.replicate_sums(weights, np.ones((len(values), 1))))[:, 0]


def test_weights_are_poisson_with_mean_1() -> None:
    weights = bootstrap.poisson_weights(USERS, 7, 500)
    shares = np.bincount(weights.astype(int).ravel())[:5] / weights.size
    np.testing.assert_allclose(shares, np.exp(-1) / np.array([1, 1, 2, 6, 24]), atol=1e-3)
    assert abs(np.corrcoef(weights[:, :40].T) - np.eye(40)).max() < 0.1  # replicates are independent
    assert abs(np.corrcoef(weights[:40]) - np.eye(40)).max() < 0.2  # and users are


def test_a_weight_depends_on_seed_user_and_replicate_alone() -> None:
    weights = bootstrap.poisson_weights(USERS, 7, 50)
    order = np.random.default_rng(0).permutation(len(USERS))
    np.testing.assert_array_equal(bootstrap.poisson_weights(USERS[order], 7, 50), weights[order])
    np.testing.assert_array_equal(bootstrap.poisson_weights(USERS[:3], 7, 20), weights[:3, :20])
    assert (bootstrap.poisson_weights(USERS, 8, 50) != weights).mean() > 0.5


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 1999), st.integers(0, 2**32 - 1))
def test_sums_are_equal_to_the_last_bit_however_the_users_are_cut(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((len(USERS), 3)) * [1, 1, 30]
    weights = bootstrap.poisson_weights(USERS, seed, 8)
    order = rng.permutation(len(USERS))
    parts = [order[:cut], order[cut:]]
    pieces = sum(bootstrap.replicate_sums(weights[part], values[part]) for part in parts)
    np.testing.assert_array_equal(pieces, bootstrap.replicate_sums(weights, values))
    np.testing.assert_allclose(pieces, weights.T @ values, rtol=1e-6)
    fine = sum(bootstrap.fine_sums(values[part]) for part in parts)
    np.testing.assert_array_equal(fine, bootstrap.fine_sums(values))
    np.testing.assert_allclose(fine / bootstrap.FINE_QUANTUM, values.sum(axis=0), rtol=1e-9)


def test_the_95_percent_interval_contains_the_true_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for trial in range(400):
        values = rng.beta(0.3, 1.2, size=200)
        low, high = bootstrap.percentile_interval(means(values, bootstrap.poisson_weights(USERS[:200], trial, 300)))
        inside += low <= 0.2 <= high
    assert 0.91 <= inside / 400 <= 0.98


def test_the_p_value_is_below_5_percent_about_5_times_in_100_where_nothing_differs() -> None:
    rng = np.random.default_rng(4)
    found = []
    for trial in range(400):
        gaps = rng.normal(size=200)
        found.append(bootstrap.p_value(means(gaps, bootstrap.poisson_weights(USERS[:200], trial, 300))))
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.09


def test_the_difference_of_replicate_means_is_the_brute_force_paired_bootstrap() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = rng.random(60), rng.random(60)
    weights = bootstrap.poisson_weights(USERS[:60], 0, 100)
    gaps = means(ours, weights) - means(theirs, weights)
    for replicate in range(100):
        drawn = np.repeat(np.arange(60), weights[:, replicate].astype(int))  # the users, repeated as they were drawn
        assert gaps[replicate] == pytest.approx(np.mean([ours[user] - theirs[user] for user in drawn]), abs=2e-6)


def test_p_values_are_two_sided_and_never_0() -> None:
    assert bootstrap.p_value(np.full(999, 0.1)) == pytest.approx(2 / 1000)
    assert bootstrap.p_value(np.full(999, -0.1)) == pytest.approx(2 / 1000)
    assert bootstrap.p_value(np.zeros(999)) == 1
    assert np.isnan(bootstrap.p_value(np.array([np.nan])))


def test_replicates_that_draw_nobody_are_left_out() -> None:
    replicates = bootstrap.replicate_means(np.array([0.0, 2.0]), np.array([0.0, 4.0]))
    assert np.isnan(replicates[0])
    assert bootstrap.percentile_interval(replicates) == (0.5, 0.5)
    assert np.isnan(bootstrap.percentile_interval(replicates[:1])).all()
