"""What only tells the language: planted, found and taken out; what the text says stays."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from xlrec.kernels.text.neutral import FIXED_POINT_BITS, fit_language_offsets, fixed_sums, remove_language

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from alignment import language_bias, retrieval_at_1  # the benches are scripts, no package

sys.path.pop(0)

N_LANGUAGES, N_CONCEPTS, DIM = 3, 200, 24


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def world(offset: float = 1.0, wobble: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n, DIM) texts of the same concepts in each language, and their languages.

    Every language is pushed its own way, each of its texts by `offset`, give or take `wobble`.
    """
    rng = np.random.default_rng(11)
    concepts = rng.normal(size=(N_CONCEPTS, DIM))
    ways = np.linalg.qr(rng.normal(size=(DIM, N_LANGUAGES)))[0].T * DIM**0.5
    strength = offset + wobble * rng.normal(size=(N_LANGUAGES, N_CONCEPTS, 1))
    texts = concepts[None] + 0.2 * rng.normal(size=(N_LANGUAGES, N_CONCEPTS, DIM)) + strength * ways[:, None]
    return unit(texts).reshape(-1, DIM), np.repeat(np.arange(N_LANGUAGES), N_CONCEPTS)


def plain(vectors: NDArray[np.float32], rows: NDArray[np.int64], n_directions: int = 0) -> NDArray[np.float32]:
    counts, sums = fixed_sums(vectors, rows, N_LANGUAGES)
    return remove_language(
        vectors, rows, *fit_language_offsets(counts, sums, min_texts=2, prior_texts=0.0, n_directions=n_directions)
    )


def pair(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return vectors[:N_CONCEPTS], vectors[N_CONCEPTS : 2 * N_CONCEPTS]


def test_sums_are_those_of_the_oracle_and_zero_vectors_do_not_count() -> None:
    vectors, rows = world()
    vectors[5] = 0.0
    counts, sums = fixed_sums(vectors, rows, N_LANGUAGES)
    for language in range(N_LANGUAGES):
        members = [row for row, one in zip(vectors, rows, strict=True) if one == language]
        assert counts[language] == sum(bool(row.any()) for row in members)
        for slot in range(DIM):
            assert sums[language, slot] == sum(round(float(row[slot]) * 2**FIXED_POINT_BITS) for row in members)


def test_sums_of_parts_in_any_order_are_the_sum_to_the_bit() -> None:
    vectors, rows = world()
    order = np.random.default_rng(0).permutation(len(rows))
    parts = [fixed_sums(vectors[part], rows[part], N_LANGUAGES)[1] for part in np.array_split(order, 7)]
    assert np.array_equal(sum(parts[::-1]), fixed_sums(vectors, rows, N_LANGUAGES)[1])


def test_a_planted_offset_disappears_and_the_content_stays() -> None:
    vectors, rows = world()
    assert language_bias(*pair(vectors)).own_language > 0.9
    after = pair(plain(vectors, rows))
    assert language_bias(*after).own_language < 0.05
    assert retrieval_at_1(*after) == 1.0
    unpushed = pair(world(offset=0.0)[0])
    assert np.einsum("ij,ij->i", after[0], unpushed[0]).mean() > 0.9


def test_a_push_of_varying_strength_needs_the_directions_too() -> None:
    vectors, rows = world(wobble=1.5)
    as_it_is = language_bias(*pair(vectors))
    means, both = (language_bias(*pair(plain(vectors, rows, k))) for k in (0, N_LANGUAGES - 1))
    assert both.mean_rank < means.mean_rank < as_it_is.mean_rank
    assert both.own_language < means.own_language


def test_directions_are_orthonormal_and_not_more_than_the_languages_differ_in() -> None:
    vectors, rows = world()
    counts, sums = fixed_sums(vectors, rows, N_LANGUAGES)
    _, directions = fit_language_offsets(counts, sums, min_texts=2, prior_texts=0.0, n_directions=10)
    assert len(directions) == N_LANGUAGES - 1
    assert directions @ directions.T == pytest.approx(np.eye(N_LANGUAGES - 1), abs=1e-6)


def test_offsets_are_the_means_drawn_towards_the_mean_of_all_by_count() -> None:
    vectors, rows = world()
    counts, sums = fixed_sums(vectors[:450], rows[:450], N_LANGUAGES)
    offsets, _ = fit_language_offsets(counts, sums, min_texts=60, prior_texts=25.0, n_directions=0)
    whole = vectors[:450].astype(np.float64).mean(axis=0)
    for language, share in ((0, 200 / 225), (1, 200 / 225), (2, 0.0)):  # the third has 50 texts only
        own = vectors[:450][rows[:450] == language].astype(np.float64).mean(axis=0)
        assert offsets[language] == pytest.approx(whole + share * (own - whole), abs=1e-6)
    assert offsets[-1] == pytest.approx(whole, abs=1e-6)


def test_one_language_is_left_as_it_is() -> None:
    vectors, rows = world()
    counts, sums = fixed_sums(vectors[:N_CONCEPTS], rows[:N_CONCEPTS], 1)
    offsets, directions = fit_language_offsets(counts, sums, min_texts=2, prior_texts=10.0, n_directions=2)
    assert len(directions) == 0
    after = remove_language(vectors[:N_CONCEPTS], rows[:N_CONCEPTS], offsets, directions)
    assert after == pytest.approx(vectors[:N_CONCEPTS], abs=1e-6)


def test_no_texts_at_all_give_no_offsets() -> None:
    counts, sums = fixed_sums(np.zeros((0, DIM), np.float32), np.zeros(0, np.int64), 2)
    offsets, directions = fit_language_offsets(counts, sums, min_texts=0, prior_texts=0.0, n_directions=2)
    assert not offsets.any()
    assert offsets.shape == (3, DIM)
    assert directions.shape == (0, DIM)


def test_vectors_keep_unit_norm_and_those_without_content_are_zero() -> None:
    vectors, rows = world()
    counts, sums = fixed_sums(vectors, rows, N_LANGUAGES)
    offsets, directions = fit_language_offsets(counts, sums, min_texts=2, prior_texts=0.0, n_directions=2)
    vectors[0], vectors[1] = 0.0, directions[0]
    offsets[0] = 0.0
    after = remove_language(vectors, rows, offsets, directions)
    assert not after[:2].any()
    assert np.linalg.norm(after[2:], axis=1) == pytest.approx(1.0, abs=1e-6)


def test_a_row_has_the_same_bits_whatever_rows_are_beside_it() -> None:
    vectors, rows = world()
    counts, sums = fixed_sums(vectors, rows, N_LANGUAGES)
    model = fit_language_offsets(counts, sums, min_texts=2, prior_texts=0.0, n_directions=2)
    whole = remove_language(vectors, rows, *model)
    for part in (slice(0, 1), slice(7, 250), slice(400, 600, 3)):
        assert np.array_equal(remove_language(vectors[part], rows[part], *model), whole[part])
