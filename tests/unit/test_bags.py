"""The kernels of the bag of tokens against slow and obvious ones, and product quantisation."""

from itertools import pairwise

import numpy as np
import pytest

from xlrec.kernels.text import bags, quantise

DIM, N_TOKENS, N_GRAMS = 8, 12, 9


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def ragged(rng: np.random.Generator, n: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    sizes = rng.integers(0, 5, size=n)
    sizes[0] = 0
    return rng.integers(0, high, size=sizes.sum()).astype(np.int32), np.concatenate([[0], np.cumsum(sizes)])


def test_bags_join_their_texts_in_order_and_are_cut(rng: np.random.Generator) -> None:
    numbers, offsets = ragged(rng, 7, N_TOKENS)
    rows, starts = np.array([3, 1, 5, 5, 2]), np.array([0, 2, 2, 5])
    found, bounds = bags.join_bags(numbers, offsets, rows, starts, 6)
    for bag in range(3):
        whole = [numbers[offsets[row] : offsets[row + 1]] for row in rows[starts[bag] : starts[bag + 1]]]
        expected = np.concatenate([*whole, np.empty(0, np.int32)])[:6]
        assert found[bounds[bag] : bounds[bag + 1]].tolist() == expected.tolist()


def test_chosen_tokens_become_their_parts_and_those_without_parts_stay() -> None:
    numbers, offsets = np.array([0, 1, 2, 1], dtype=np.int32), np.array([0, 3, 3, 4])
    parts, part_offsets = np.array([7, 8, 9], dtype=np.int32), np.array([0, 0, 2, 3])
    found, bounds = bags.expand_tokens(numbers, offsets, parts, part_offsets, np.array([True, True, False]))
    assert found.tolist() == [0, 7, 8, 2, 7, 8]
    assert bounds.tolist() == [0, 4, 4, 6]


def test_means_and_their_gradients_are_those_of_torch(rng: np.random.Generator) -> None:
    import torch

    own = torch.tensor(rng.standard_normal((N_TOKENS, DIM)), dtype=torch.float32, requires_grad=True)
    shared = torch.tensor(rng.standard_normal((N_GRAMS, DIM)), dtype=torch.float32, requires_grad=True)
    grams, gram_offsets = ragged(rng, N_TOKENS, N_GRAMS)
    numbers, offsets = ragged(rng, 20, N_TOKENS)
    rows = []
    for token in range(N_TOKENS):
        mine = shared[grams[gram_offsets[token] : gram_offsets[token + 1]].tolist()]
        rows.append(own[token] + mine.sum(dim=0) / max(len(mine), 1) ** 0.5)
    table = torch.stack(rows)
    empty = torch.zeros(DIM)
    means = torch.stack(
        [table[numbers[a:b].tolist()].mean(dim=0) if b > a else empty for a, b in pairwise(offsets.tolist())]
    )
    weights = torch.tensor(rng.standard_normal(means.shape), dtype=torch.float32)
    (means * weights).sum().backward()

    tokens, places = bags.distinct_numbers(numbers, N_TOKENS)
    assert tokens[places].tolist() == numbers.tolist()
    composed = bags.composed_rows(own.detach().numpy(), shared.detach().numpy(), tokens, grams, gram_offsets)
    np.testing.assert_allclose(bags.bag_means(composed, places, offsets), means.detach().numpy(), atol=1e-5)
    of_tokens = bags.bag_gradients(weights.numpy(), places, offsets, len(tokens))
    np.testing.assert_allclose(of_tokens, own.grad.numpy()[tokens], atol=1e-5)
    met, of_grams = bags.shared_gradients(of_tokens, tokens, grams, gram_offsets, N_GRAMS)
    expected = shared.grad.numpy()
    np.testing.assert_allclose(of_grams, expected[met], atol=1e-5)
    assert set(np.flatnonzero(np.abs(expected).sum(axis=1))) <= set(met.tolist())


def test_adagrad_takes_smaller_steps_on_rows_that_moved_much() -> None:
    rows, squares = np.zeros((2, 4), dtype=np.float32), np.array([0.0, 99.0], dtype=np.float32)
    bags.adagrad_step(rows, squares, np.array([0, 1], dtype=np.int32), np.ones((2, 4), dtype=np.float32), 0.5)
    np.testing.assert_allclose(rows, [[-0.5] * 4, [-0.05] * 4], rtol=1e-6)
    np.testing.assert_allclose(squares, [1.0, 100.0])


def coded_twice(table: np.ndarray, n_parts: int, rows: list[int]) -> quantise.CodedTable:
    return quantise.quantise_twice(table, np.ones(len(table), np.float32), n_parts, np.array(rows, dtype=np.int64), 0)


def test_rows_that_are_few_kinds_survive_quantisation(rng: np.random.Generator) -> None:
    kinds = rng.standard_normal((20, 16)).astype(np.float32)
    table = kinds[rng.integers(0, 20, size=500)] * rng.random((500, 1), dtype=np.float32)
    np.testing.assert_allclose(quantise.restored_table(coded_twice(table, 4, [])), table, atol=1e-5)


def test_more_bytes_lose_less(rng: np.random.Generator) -> None:
    table = rng.standard_normal((2000, 32)).astype(np.float32)
    losses = []
    for n_parts in (4, 8, 16):
        found = quantise.restored_table(coded_twice(table, n_parts, []))
        losses.append(np.linalg.norm(found - table) / np.linalg.norm(table))
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.3


def test_parts_share_the_large_variances_and_every_column_is_in_one(rng: np.random.Generator) -> None:
    variances = 2.0 ** -np.arange(12)
    parts = quantise.balanced_order(rng.permutation(variances), 4).reshape(4, 3)
    assert sorted(parts.ravel().tolist()) == list(range(12))
    order = quantise.balanced_order(variances, 4).reshape(4, 3)
    assert all(len({column // 4 for column in part.tolist()}) == 3 for part in order)  # one of each third
    table = (rng.standard_normal((3000, 32)) * 0.8 ** np.arange(32)).astype(np.float32)
    plain = quantise.quantise(table, np.ones(3000, np.float32), 8, 0)
    aside = quantise.CodedTable(plain, np.empty(0, np.int64), coded_twice(table, 8, []).finer, np.arange(32))
    ours, theirs = (np.linalg.norm(quantise.restored_table(one) - table) for one in (coded_twice(table, 8, []), aside))
    assert ours < 0.9 * theirs


def test_rows_with_a_second_code_lose_less_and_the_others_as_much(rng: np.random.Generator) -> None:
    table = rng.standard_normal((2000, 32)).astype(np.float32)
    rows = list(range(0, 2000, 3))
    once, twice = (quantise.restored_table(coded_twice(table, 8, some)) for some in ([], rows))
    others = np.setdiff1d(np.arange(2000), rows)
    assert np.linalg.norm((twice - table)[rows]) < 0.6 * np.linalg.norm((once - table)[rows])
    assert np.array_equal(twice[others], once[others])


@pytest.mark.parametrize("rows", [[], [0, 5, 299]])
def test_means_read_from_codes_are_those_of_the_restored_table(rng: np.random.Generator, rows: list[int]) -> None:
    table = rng.standard_normal((300, 16)).astype(np.float32)
    coded = coded_twice(table, 8, rows)
    numbers, offsets = ragged(rng, 30, 300)
    expected = bags.bag_means(quantise.restored_table(coded), numbers, offsets)
    np.testing.assert_allclose(quantise.coded_means(coded, numbers, offsets), expected, atol=1e-6)
    assert np.array_equal(quantise.coded_means(coded, numbers[:0], np.array([0, 0])), np.zeros((1, 16)))
