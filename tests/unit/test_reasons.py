"""The history's terms against slow sums that anyone can read, and the heaviest of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.ranking.reasons import covisited_terms, heaviest, most_covisited, most_similar, similar_terms


def planted_neighbours(rng: Any, n_items: int) -> tuple[dict[tuple[int, int], float], Any]:
    """Co-visitation as a dictionary, and as CSR best first."""
    table = {(a, b): float(rng.random()) for a in range(n_items) for b in range(n_items) if rng.random() < 0.5}
    rows = sorted(table, key=lambda pair: (pair[0], -table[pair]))
    indptr = np.searchsorted([a for a, _ in rows], np.arange(n_items + 1)).astype(np.int64)
    return table, (indptr, np.array([b for _, b in rows], dtype=np.int32), np.array([table[pair] for pair in rows]))


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
    table, csr = planted_neighbours(rng, n_items)
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


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4))
def test_many_users_at_once_get_the_reasons_of_one_after_another(seed: int, sizes: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(seed)
    visits, indptr = (indptr_of(np.array([size[part] for size in sizes], dtype=np.int64)) for part in range(2))
    history, items = (
        np.concatenate([np.zeros(0, np.int32), *(rng.permutation(12)[: size[part]] for size in sizes)]).astype(np.int32)
        for part in range(2)
    )
    vectors, weights = rng.normal(size=(12, 5)).astype(np.float32), rng.random(len(history))
    _, csr = planted_neighbours(rng, 12)
    similar = most_similar(vectors[history], weights, visits, vectors[items], indptr, 2)
    covisited = most_covisited(history, weights, visits, items, indptr, csr, 2)
    for user in range(len(sizes)):
        own, mine = slice(visits[user], visits[user + 1]), slice(indptr[user], indptr[user + 1])
        near = similar_terms(vectors[history[own]], weights[own], vectors[items[mine]])
        after = covisited_terms(history[own], weights[own], items[mine], csr)
        for found, terms in ((similar, near), (covisited, after)):
            expected = heaviest(terms, 2)
            assert found[mine].tolist() == np.where(expected >= 0, expected + own.start, -1).tolist()
