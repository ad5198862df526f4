"""Fused scores against slow sums that anyone can read, and many users at once against one after another."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from xlrec.kernels.csr import indptr_of
from xlrec.kernels.fusion import Fused, best_first, credit, fuse, odds

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
            best = max([x for x in row if math.isfinite(x)], default=0.0)
            if weight > 0:
                total += math.nan if not math.isfinite(row[i]) else weight * (row[i] / best) if best > 0 else 0.0
        fused.append(total)
    return fused


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.just(3), st.integers(0, 8)), elements=SCORES), WEIGHTS)
def test_fused_scores_are_the_formula_and_the_sum_of_their_terms(scores: Any, weights: list[float]) -> None:
    fused = fuse(scores, alone(scores.shape[1]), np.array(weights))
    np.testing.assert_array_equal(fused.scores, oracle(scores, np.array(weights)))
    np.testing.assert_allclose(fused.terms.sum(axis=0), fused.scores, atol=1e-12)


def test_a_source_without_weight_is_not_looked_at_even_where_it_is_not_a_number() -> None:
    scores = np.array([[1.0, 0.5], [np.nan, np.inf]])
    assert fuse(scores, alone(2), np.array([2.0, 0.0])).scores.tolist() == [2.0, 1.0]


def test_a_source_without_a_positive_score_adds_nothing() -> None:
    fused = fuse(np.array([[1.0, 0.5], [-3.0, 0.0]]), alone(2), np.array([1.0, 1.0]))
    assert fused.scores.tolist() == [1.0, 0.5]
    assert fused.bests.tolist() == [[1.0, 0.0]]


def test_scores_that_are_not_finite_never_rank_and_do_not_scale_the_others() -> None:
    fused = fuse(np.array([[4.0, np.nan, np.inf, 2.0]]), alone(4), np.array([1.0]))
    assert fused.bests.tolist() == [[4.0]]
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


def slow_credit(fused: Fused, source: int, untaught: Any) -> Fused:
    """One user's, by numpy's own sums."""
    own = np.where(np.isfinite(fused.terms[source]), fused.terms[source], 0.0)
    taught = ~untaught & np.isfinite(fused.scores)
    square = float((own[taught] ** 2).sum())
    if not untaught.any() or square <= 0:
        return fused
    slope = max(0.0, float((own[taught] * (fused.scores - fused.terms[source])[taught]).sum()) / square)
    terms = fused.terms.copy()
    terms[source, untaught] += slope * own[untaught]
    return Fused(fused.scores + np.where(untaught, slope * own, 0.0), terms, fused.bests)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 400), max_size=4), st.sampled_from([0.0, 0.3, 1.0]))
def test_many_users_at_once_get_the_bits_of_one_after_another(seed: int, sizes: list[int], share: float) -> None:
    rng, indptr, weights = (
        np.random.default_rng(seed),
        indptr_of(np.array(sizes, dtype=np.int64)),
        np.array([1.5, 1, 0]),
    )
    scores = rng.normal(size=(3, indptr[-1]))
    scores[0, rng.random(indptr[-1]) < 0.05] = math.nan
    untaught, logits = rng.random(indptr[-1]) < share, scores[0].copy()
    whole = odds(logits, indptr, 2.0)
    scores[0] = whole
    fused = fuse(scores, indptr, weights)
    credited = credit(fused, indptr, 0, untaught)
    for user, size in enumerate(sizes):
        mine = slice(indptr[user], indptr[user + 1])
        np.testing.assert_array_equal(whole[mine], odds(logits[mine], alone(size), 2.0))
        one = fuse(scores[:, mine], alone(size), weights)
        np.testing.assert_array_equal(fused.scores[mine], one.scores)
        np.testing.assert_array_equal(fused.bests[user], one.bests[0])
        expected = slow_credit(one, 0, untaught[mine])
        np.testing.assert_array_equal(credited.scores[mine], expected.scores)
        np.testing.assert_array_equal(credited.terms[:, mine], expected.terms)


def test_a_new_item_gets_what_the_other_sources_expect_at_its_score() -> None:
    fused = fuse(np.array([[1.0, 0.5, 0.8], [1.0, 0.5, 0.0]]), alone(3), np.array([2.0, 1.0]))
    found = credit(fused, alone(3), 0, np.array([False, False, True]))
    np.testing.assert_allclose(found.scores, [3.0, 1.5, 0.8 * 3.0])
    np.testing.assert_allclose(found.terms, [[2.0, 1.0, 2.4], [1.0, 0.5, 0.0]])
    np.testing.assert_allclose(found.terms.sum(axis=0), found.scores)


@pytest.mark.parametrize("untaught", [[False, False], [True, True]])
def test_without_taught_and_untaught_items_there_is_nothing_to_credit(untaught: list[bool]) -> None:
    fused = fuse(np.array([[1.0, 0.5], [0.0, 0.5]]), alone(2), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(credit(fused, alone(2), 0, np.array(untaught)).scores, fused.scores)


def test_odds_are_one_at_the_best_and_keep_what_is_not_a_number() -> None:
    found = odds(np.array([2.0, math.nan, -1.0, -math.inf]), alone(4), 3.0)
    np.testing.assert_allclose(found, [1.0, math.nan, math.exp(-1), math.nan])
    assert len(odds(np.zeros(0), alone(0), 1.0)) == 0
