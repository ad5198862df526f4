"""Fused scores and the history's terms against slow sums that anyone can read."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xlrec.kernels.fusion import best_first, covisited_terms, credit, fuse, heaviest, odds, similar_terms

SCORES = st.floats(-10, 10, allow_subnormal=False).map(lambda x: round(x, 3)) | st.just(math.nan)
WEIGHTS = st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.5]), min_size=3, max_size=3)


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
    fused = fuse(scores, np.array(weights))
    np.testing.assert_array_equal(fused.scores, oracle(scores, np.array(weights)))
    np.testing.assert_allclose(fused.terms.sum(axis=0), fused.scores, atol=1e-12)


def test_a_source_without_weight_is_not_looked_at_even_where_it_is_not_a_number() -> None:
    scores = np.array([[1.0, 0.5], [np.nan, np.inf]])
    assert fuse(scores, np.array([2.0, 0.0])).scores.tolist() == [2.0, 1.0]


def test_a_source_without_a_positive_score_adds_nothing() -> None:
    fused = fuse(np.array([[1.0, 0.5], [-3.0, 0.0]]), np.array([1.0, 1.0]))
    assert fused.scores.tolist() == [1.0, 0.5]
    assert fused.bests.tolist() == [1.0, 0.0]


def test_scores_that_are_not_finite_never_rank_and_do_not_scale_the_others() -> None:
    fused = fuse(np.array([[4.0, np.nan, np.inf, 2.0]]), np.array([1.0]))
    assert fused.bests.tolist() == [4.0]
    assert best_first(fused.scores, np.arange(4, dtype=np.int32)).tolist() == [0, 3]


def test_equal_scores_rank_by_item_num() -> None:
    assert best_first(np.array([1.0, 2.0, 2.0, 0.0]), np.array([9, 7, 3, 1], dtype=np.int32)).tolist() == [2, 1, 0, 3]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 5))
def test_the_historys_terms_are_the_formula_and_sum_to_the_scores(seed: int, n_history: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    history, items = (rng.normal(size=(size, 7)).astype(np.float32) for size in (n_history, n))
    weights = rng.random(n_history)
    terms = similar_terms(history, weights, items)
    profile = sum((w * v.astype(float) for w, v in zip(weights, history, strict=True)), np.zeros(7))
    norm = np.linalg.norm(profile) or 1.0
    for i in range(n):
        for h in range(n_history):
            assert terms[i, h] == pytest.approx(weights[h] * float(history[h].astype(float) @ items[i]) / norm)
        assert terms[i].sum() == pytest.approx(profile @ items[i] / norm, abs=1e-9)


def test_a_profile_that_cancels_out_has_no_terms() -> None:
    history = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    assert similar_terms(history, np.array([0.5, 0.5]), history).tolist() == [[0, 0], [0, 0]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_co_visitation_terms_are_those_of_a_dictionary(seed: int, n_items: int) -> None:
    rng = np.random.default_rng(seed)
    table = {(a, b): float(rng.random()) for a in range(n_items) for b in range(n_items) if rng.random() < 0.5}
    rows = sorted(table, key=lambda pair: (pair[0], -table[pair]))
    indptr = np.searchsorted([a for a, _ in rows], np.arange(n_items + 1)).astype(np.int64)
    csr = indptr, np.array([b for _, b in rows], dtype=np.int32), np.array([table[pair] for pair in rows])
    history, items = (rng.permutation(n_items)[: rng.integers(0, n_items + 1)].astype(np.int32) for _ in range(2))
    weights = rng.random(len(history))
    terms = covisited_terms(history, weights, items, csr)
    assert terms.shape == (len(items), len(history))
    for i, item in enumerate(items.tolist()):
        for h, one in enumerate(history.tolist()):
            assert terms[i, h] == weights[h] * table.get((one, item), 0.0)


def test_the_heaviest_terms_are_positive_and_ties_go_to_the_first() -> None:
    terms = np.array([[0.1, 0.5, -1.0, 0.5], [0.0, -1.0, 0.0, 0.2]])
    assert heaviest(terms, 3).tolist() == [[1, 3, 0], [3, -1, -1]]
    assert heaviest(terms, 0).shape == (2, 0)


def test_a_new_item_gets_what_the_other_sources_expect_at_its_score() -> None:
    fused = fuse(np.array([[1.0, 0.5, 0.8], [1.0, 0.5, 0.0]]), np.array([2.0, 1.0]))
    found = credit(fused, 0, np.array([False, False, True]))
    np.testing.assert_allclose(found.scores, [3.0, 1.5, 0.8 * 3.0])
    np.testing.assert_allclose(found.terms, [[2.0, 1.0, 2.4], [1.0, 0.5, 0.0]])
    np.testing.assert_allclose(found.terms.sum(axis=0), found.scores)


@pytest.mark.parametrize("untaught", [[False, False], [True, True]])
def test_without_taught_and_untaught_items_there_is_nothing_to_credit(untaught: list[bool]) -> None:
    fused = fuse(np.array([[1.0, 0.5], [0.0, 0.5]]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(credit(fused, 0, np.array(untaught)).scores, fused.scores)


def test_odds_are_one_at_the_best_and_keep_what_is_not_a_number() -> None:
    found = odds(np.array([2.0, math.nan, -1.0, -math.inf]), 3.0)
    np.testing.assert_allclose(found, [1.0, math.nan, math.exp(-1), math.nan])
    assert len(odds(np.zeros(0), 1.0)) == 0
