"""Near-duplicates fall out from the best item on, by exact cosines."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xlrec.kernels.ranking.diversity import keep_distinct

SMALL = st.sampled_from([-2.0, -1.0, 0.0, 0.0, 0.5, 1.0, 3.0])
VECTORS = arrays(np.float32, st.tuples(st.integers(0, 9), st.integers(1, 4)), elements=SMALL)


def oracle(vectors: Any, threshold: float) -> list[bool]:
    """The walk in fractions: cosine >= threshold where dot > 0 and dot² >= threshold² · |a|² · |b|²."""
    rows = [[Fraction(float(x)) for x in row] for row in vectors]
    kept: list[bool] = []
    for i, row in enumerate(rows):
        near = False
        for j in range(i):
            dot = sum((a * b for a, b in zip(row, rows[j], strict=True)), Fraction())
            both = sum((a * a for a in row), Fraction()) * sum((b * b for b in rows[j]), Fraction())
            near = near or (kept[j] and dot > 0 and dot * dot >= Fraction(threshold) ** 2 * both)
        kept.append(not near)
    return kept


@settings(deadline=None)
@given(VECTORS, st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_near_duplicates_fall_out_as_exact_cosines_say(vectors: Any, threshold: float) -> None:
    assert keep_distinct(vectors, threshold).tolist() == oracle(vectors, threshold)


@pytest.mark.parametrize("dim", [3, 256, 1024])
def test_copies_fall_out_at_threshold_1_whatever_the_rounding_of_their_norm(dim: int) -> None:
    vectors = np.random.default_rng(dim).normal(size=(40, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kept = keep_distinct(np.concatenate([vectors, vectors[::-1]]), 1.0)
    assert kept.tolist() == [True] * 40 + [False] * 40


def test_an_item_near_one_that_fell_out_stays() -> None:
    angles = np.radians([0.0, 10.0, 20.0])
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert keep_distinct(chain, 0.97).tolist() == [True, False, True]


def test_zero_vectors_are_near_nothing() -> None:
    assert keep_distinct(np.zeros((3, 5), dtype=np.float32), 0.5).all()


def test_what_stays_among_the_first_does_not_depend_on_what_follows() -> None:
    vectors = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32)
    whole = keep_distinct(vectors, 0.9)
    assert all(keep_distinct(vectors[:n], 0.9).tolist() == whole[:n].tolist() for n in range(60))
