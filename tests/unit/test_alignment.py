"""Measures of alignment against slow oracles, and what they must say of spaces whose answer is known."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from alignment import (  # the benches are scripts, no package
    TIE,
    language_bias,
    retrieval_at_1,
    told_apart,
    translation_ranks,
)

sys.path.pop(0)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def pair(n: int = 60, dim: int = 16, noise: float = 0.6, offset: float = 0.0) -> list[NDArray[np.float32]]:
    """Two languages of n concepts; `offset` pushes each language its own way."""
    rng = np.random.default_rng(3)
    concepts, ways = rng.normal(size=(n, dim)), rng.normal(size=(2, dim))
    return [unit(concepts + noise * rng.normal(size=(n, dim)) + offset * way) for way in ways]


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(sum(float(x) * float(y) for x, y in zip(a, b, strict=True)))


def slow_rank(i: int, queries: NDArray[np.float32], pool: NDArray[np.float32]) -> int:
    mine = similarity(queries[i], pool[i])
    return 1 + sum(j != i and similarity(queries[i], pool[j]) >= mine - TIE for j in range(len(pool)))


def test_ranks_are_those_of_the_oracle() -> None:
    left, right = pair()
    expected = [slow_rank(i, left[:40], right) for i in range(40)]
    assert translation_ranks(left[:40], right).tolist() == expected
    assert retrieval_at_1(left[:40], right) == np.mean([rank == 1 for rank in expected])
    assert 0 < retrieval_at_1(left[:40], right) < 1


def test_bias_is_that_of_the_oracle() -> None:
    left, right = pair(n=25, offset=0.7)
    owns, ranks = [], []
    for asking, others in ((left, right), (right, left)):
        for i in range(len(asking)):
            own = [similarity(asking[i], asking[j]) for j in range(len(asking)) if j != i]
            foreign = [similarity(asking[i], row) for row in others]
            owns.append(max(own) >= max(foreign) - TIE)
            ranks.append(slow_rank(i, asking, others) + sum(s >= foreign[i] - TIE for s in own))
    assert language_bias(left, right) == pytest.approx((np.mean(owns), np.mean(ranks)))


def test_an_offset_that_tells_the_language_shows_as_bias_and_hardly_in_retrieval() -> None:
    plain, pushed = pair(dim=64, noise=0.3), pair(dim=64, noise=0.3, offset=1.0)
    assert language_bias(*plain).own_language < 0.2
    assert language_bias(*pushed).own_language > 0.9
    assert language_bias(*pushed).mean_rank > 5 * language_bias(*plain).mean_rank
    assert retrieval_at_1(*pushed) == 1.0


def test_whatever_cannot_be_told_apart_counts_as_nearer() -> None:
    same = np.tile(np.eye(4, dtype=np.float32)[0], (5, 1))
    assert translation_ranks(same, same).tolist() == [5] * 5
    assert language_bias(same, same) == (1.0, 9.0)
    assert not told_apart(same, same, same).any()


def test_a_zero_vector_finds_nothing() -> None:
    left, right = np.zeros((3, 4), np.float32), np.eye(3, 4, dtype=np.float32)
    assert translation_ranks(left, right).tolist() == [3, 3, 3]
    assert retrieval_at_1(left, right) == 0.0


def test_the_right_sense_must_be_strictly_nearer() -> None:
    a, b, c = np.eye(3, dtype=np.float32)
    near = unit(np.array([[2.0, 1.0, 0.0]]))[0]
    queries, right, wrong = np.stack([a, a, a]), np.stack([near, b, c]), np.stack([b, near, b])
    assert told_apart(queries, right, wrong).tolist() == [True, False, False]


def test_no_queries_give_no_number_and_no_ranks() -> None:
    none = np.zeros((0, 4), np.float32)
    assert np.isnan(retrieval_at_1(none, none))
    assert all(np.isnan(value) for value in language_bias(none, none))
    assert told_apart(none, none, none).tolist() == []


def test_rows_that_do_not_pair_up_are_refused() -> None:
    left, right = pair()
    with pytest.raises(ValueError, match="60 queries, but only 10 texts"):
        translation_ranks(left, right[:10])
    with pytest.raises(ValueError, match="must say the same"):
        language_bias(left, right[:10])
