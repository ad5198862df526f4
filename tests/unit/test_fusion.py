"""Fused scores against slow sums that anyone can read, and many users at once against one after another."""

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.ranking.fusion import best_first, fuse_scores

SCORES = st.floats(-10, 10, allow_subnormal=False).map(lambda x: round(x, 3)) | st.just(math.nan)
WEIGHTS = st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.5]), min_size=3, max_size=3)


def alone(n: int) -> NDArray[np.int64]:
    """Bounds of the n candidates of one user."""
    return np.array([0, n])


def oracle(scores: Any, weights: Any) -> list[float]:
    """The formula, item by item."""
    fused = []
    for i in range(scores.shape[1]):
        total = 0.0
        for row, weight in zip(scores.tolist(), weights.tolist(), strict=True):
            if weight > 0:
                total += weight * row[i]
        fused.append(total)
    return fused


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.just(3), st.integers(0, 8)), elements=SCORES), WEIGHTS)
def test_fused_scores_are_the_formula_and_the_sum_of_their_terms(scores: Any, weights: list[float]) -> None:
    fused = fuse_scores(scores, alone(scores.shape[1]), np.array([weights]))
    np.testing.assert_array_equal(fused.scores, oracle(scores, np.array(weights)))
    np.testing.assert_allclose(fused.terms.sum(axis=0), fused.scores, atol=1e-12)


def test_each_user_has_weights_of_her_own() -> None:
    fused = fuse_scores(
        np.array([[1.0, 0.5, 2.0], [1.0, 1.0, 1.0]]), np.array([0, 2, 3]), np.array([[1.0, 2.0], [0.5, 0.0]])
    )
    assert fused.scores.tolist() == [3.0, 2.5, 1.0]


def test_a_source_without_weight_is_not_looked_at_even_where_it_is_not_a_number() -> None:
    scores = np.array([[1.0, 0.5], [np.nan, np.inf]])
    assert fuse_scores(scores, alone(2), np.array([[2.0, 0.0]])).scores.tolist() == [2.0, 1.0]


def test_scores_that_are_not_finite_never_rank() -> None:
    fused = fuse_scores(np.array([[4.0, np.nan, np.inf, 2.0]]), alone(4), np.array([[1.0]]))
    assert best_first(fused.scores, alone(4))[1].tolist() == [0, 3]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 90), max_size=4))
def test_each_users_candidates_rank_by_score_then_position(seed: int, sizes: list[int]) -> None:
    rng, indptr = np.random.default_rng(seed), indptr_of(np.array(sizes, dtype=np.int64))
    scores = rng.choice([0.5, -1.0, 0.0, 2.0, math.nan, math.inf], indptr[-1]) + rng.integers(0, 3, indptr[-1])
    bounds, order = best_first(scores, indptr)
    for user in range(len(sizes)):
        mine = range(indptr[user], indptr[user + 1])
        wanted = sorted((i for i in mine if math.isfinite(scores[i])), key=lambda i: (-scores[i], i))
        assert order[bounds[user] : bounds[user + 1]].tolist() == wanted
