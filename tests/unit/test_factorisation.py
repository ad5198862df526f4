"""Matrix factorisation with a text prior: closed forms against the plain algebra, and a planted world."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.history.factorisation import (
    Penalties,
    Preferences,
    factorise_preferences,
    fold_in,
    item_scales,
    mean_log_norm,
    whitening_matrix,
    with_intercept,
)


def preferences(dense: np.ndarray) -> Preferences:
    rows, nums = np.nonzero(dense)
    return Preferences(indptr_of(np.bincount(rows, minlength=len(dense))), nums.astype(np.int32), dense[rows, nums])


def queries_of(dense: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    history = preferences(dense)
    found = fold_in(history, vectors[history.nums])
    queries = np.zeros((len(dense), vectors.shape[1]))
    np.add.at(queries, owners_of(history.indptr), found.weights[:, None] * vectors[history.nums])
    np.testing.assert_allclose(found.queries, queries, atol=1e-12)
    return queries


def plain_half(dense: np.ndarray, others: np.ndarray, unseen: float, penalty: float, prior: np.ndarray) -> np.ndarray:
    eye = np.eye(others.shape[1])
    found = []
    for row, mean in zip(dense, prior, strict=True):
        matrix = unseen * others.T @ others + others.T @ np.diag(row) @ others + penalty * eye
        found.append(np.linalg.solve(matrix, others.T @ row + penalty * mean))
    return np.array(found)


def plain(dense: np.ndarray, texts: np.ndarray, start: np.ndarray, one: Penalties, sweeps: int) -> np.ndarray:
    told, n_users = with_intercept(texts), (dense > 0).sum(axis=0)
    weights, items, prior = np.diag(n_users / (n_users + one.half_visits)), start, np.zeros(start.shape)
    for sweep in range(sweeps):
        users = plain_half(dense, items, one.unseen, one.user, np.zeros((len(dense), start.shape[1])))
        if sweep:
            ridge = told.T @ weights @ told + one.text * np.eye(told.shape[1])
            prior = told @ np.linalg.solve(ridge, told.T @ weights @ items)
        items = plain_half(dense.T, users, one.unseen, one.item, prior)
    return items


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_half_sweeps_solve_the_normal_equations_whether_rows_are_short_or_long(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n_users, n_items, dim = (data.draw(st.integers(low, high)) for low, high in ((1, 12), (2, 15), (1, 6)))
    dense = rng.uniform(0.2, 3.0, (n_users, n_items)) * (rng.random((n_users, n_items)) < data.draw(st.floats(0, 1)))
    texts, start = rng.normal(size=(n_items, 3)), rng.normal(size=(n_items, dim))
    texts[rng.random(n_items) < 0.2] = 0
    penalties = Penalties(unseen=0.1, user=0.3, item=0.5, text=2.0, half_visits=1.0)
    found = factorise_preferences(preferences(dense), texts, start, penalties, 3)
    np.testing.assert_allclose(found.items, plain(dense, texts, start, penalties, 3), rtol=1e-6, atol=1e-8)


def test_a_fold_in_is_the_user_factor_and_its_terms_add_up_to_the_score() -> None:
    rng = np.random.default_rng(3)
    dense = rng.uniform(0.5, 2.0, (7, 30)) * (rng.random((7, 30)) < 0.3)
    items = rng.normal(size=(30, 8))
    factors = plain_half(dense, items, 0.05, 0.7, np.zeros((7, 8)))
    vectors = items @ whitening_matrix(items, 0.05, 0.7)
    np.testing.assert_allclose(queries_of(dense, vectors) @ vectors.T, factors @ items.T, atol=1e-9)


def test_who_has_no_history_has_no_query() -> None:
    history = Preferences(np.array([0, 0]), np.zeros(0, dtype=np.int32), np.zeros(0))
    assert fold_in(history, np.ones((0, 2))).queries.tolist() == [[0.0, 0.0]]


def test_items_without_logs_are_found_by_what_texts_were_taught() -> None:
    """Two topics that only logs tell apart from noise: texts carry them in one of twenty directions."""
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 2, 200)
    texts = rng.normal(size=(200, 20))
    texts[:, 0] = np.where(topic == 0, 0.7, -0.7) + 0.1 * rng.normal(size=200)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    taste, untaught = rng.integers(0, 2, 400), np.arange(200) >= 150
    chance = np.where(topic[None] == taste[:, None], 0.1, 0.005) * ~untaught
    dense = (rng.random((400, 200)) < chance).astype(np.float64)
    penalties = Penalties(unseen=0.1, user=1.0, item=1.0, text=1.0, half_visits=5.0)
    found = factorise_preferences(preferences(dense), texts, 0.3 * texts[:, :4], penalties, 6)
    right = taste[:, None] == topic[untaught][None]
    scores = []
    for vectors in (found.items @ whitening_matrix(found.items, penalties.unseen, penalties.user), texts):
        found_scores = queries_of(dense, vectors) @ vectors[untaught].T
        scores.append(ordered_rightly(found_scores - found_scores.mean(axis=1, keepdims=True), right))
    learnt, read = scores
    assert learnt > read + 0.1, (learnt, read)
    assert learnt > 0.85


def ordered_rightly(scores: np.ndarray, right: np.ndarray) -> float:
    """Share of pairs of a right and a wrong one in which the first has the higher score (AUC)."""
    ranks = scores.ravel().argsort().argsort()[right.ravel()]
    n, m = right.sum(), (~right).sum()
    return float((ranks.sum() - n * (n - 1) / 2) / (n * m))


def test_an_unexposed_item_has_the_norm_of_taught_ones_and_an_exposed_one_its_own_root() -> None:
    norms, n_users = np.array([1.44, 1.44, 0.5, 0.5, 0.0]), np.array([20, 20, 0, 0, 0])
    mean = mean_log_norm(norms, n_users)
    scales = item_scales(norms, mean, np.array([1e12, 1e12, 0.0, 1e12, 0.0]), boost=1.1)
    assert scales * norms == pytest.approx([1.2, 1.2, 1.32, 0.5**0.5, 0.0])


def test_without_any_taught_item_scales_are_finite() -> None:
    norms = np.array([0.2, 0.4])
    scales = item_scales(norms, mean_log_norm(norms, np.zeros(2, dtype=int)), np.zeros(2), boost=1.0)
    assert scales * np.array([0.2, 0.4]) == pytest.approx([1.0, 1.0])
