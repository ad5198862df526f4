"""Reasons against slow sums that anyone can read."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.ranking.reasons import most_covisited, most_similar


def planted_neighbours(rng: Any, n_items: int) -> tuple[dict[tuple[int, int], float], Any]:
    """Co-visitation as a dictionary, and as CSR best first."""
    table = {(a, b): float(rng.random()) for a in range(n_items) for b in range(n_items) if rng.random() < 0.5}
    rows = sorted(table, key=lambda pair: (pair[0], -table[pair]))
    indptr = np.searchsorted([a for a, _ in rows], np.arange(n_items + 1)).astype(np.int64)
    return table, (indptr, np.array([b for _, b in rows], dtype=np.int32), np.array([table[pair] for pair in rows]))


def largest(terms: list[float], first: int, n_best: int) -> list[int]:
    """Positions of the largest positive terms, ties to the first, filled up with -1."""
    order = sorted((h for h, term in enumerate(terms) if term > 0), key=lambda h: (-terms[h], h))[:n_best]
    return [first + h for h in order] + [-1] * (n_best - len(order))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4))
def test_each_user_gets_the_items_of_her_own_history_with_the_largest_terms(
    seed: int, sizes: list[tuple[int, int]]
) -> None:
    rng = np.random.default_rng(seed)
    visits, indptr = (indptr_of(np.array([size[part] for size in sizes], dtype=np.int64)) for part in range(2))
    history, items = (
        np.concatenate([np.zeros(0, np.int32), *(rng.permutation(12)[: size[part]] for size in sizes)]).astype(np.int32)
        for part in range(2)
    )
    vectors, weights = rng.normal(size=(12, 11)).astype(np.float32), rng.random(len(history))
    table, csr = planted_neighbours(rng, 12)
    similar = most_similar(vectors[history], weights, visits, vectors[items], indptr, 2).tolist()
    covisited = most_covisited(history, weights, visits, items, indptr, csr, 2).tolist()
    for user in range(len(sizes)):
        own = range(visits[user], visits[user + 1])
        for row in range(indptr[user], indptr[user + 1]):
            item = vectors[items[row]].astype(float)
            near = [float(weights[h] * vectors[history[h]].astype(float) @ item) for h in own]
            together = [weights[h] * table.get((int(history[h]), int(items[row])), 0.0) for h in own]
            assert similar[row] == largest(near, own.start, 2)
            assert covisited[row] == largest(together, own.start, 2)


def test_a_profile_that_cancels_out_gives_no_reason() -> None:
    history, one = np.array([[1, 0], [-1, 0]], dtype=np.float32), np.array([0, 2])
    assert most_similar(history, np.array([0.5, 0.5]), one, history, one, 2).tolist() == [[-1, -1], [-1, -1]]


def test_ties_go_to_the_first_and_terms_of_0_are_no_reason() -> None:
    history = np.array([[0.1, 0], [0.5, 0], [-1, 0], [0.5, 0], [0, 1]], dtype=np.float32)
    item = np.array([[1, 0]], dtype=np.float32)
    found = most_similar(history, np.ones(5), np.array([0, 5]), item, np.array([0, 1]), 4)
    assert found.tolist() == [[1, 3, 0, -1]]
    assert most_similar(history, np.ones(5), np.array([0, 5]), item, np.array([0, 1]), 0).shape == (1, 0)
