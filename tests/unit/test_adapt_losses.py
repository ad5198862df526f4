"""Losses against slow and obvious ones."""

import numpy as np
import pytest
import torch

from xlrec.training.encoder import losses
from xlrec.training.encoder.config import LossConfig


def units(n: int, dim: int, seed: int) -> torch.Tensor:
    return losses.unit_vectors(torch.tensor(np.random.default_rng(seed).standard_normal((n, dim)), dtype=torch.float32))


def oracle(a: np.ndarray, b: np.ndarray, same: set[tuple[int, int]], temperature: float) -> float:
    total = 0.0
    for left, right, pairs in ((a, b, same), (b, a, {(j, i) for i, j in same})):
        for i in range(len(left)):
            scores = [left[i] @ right[j] / temperature for j in range(len(left)) if (i, j) not in pairs]
            total -= left[i] @ right[i] / temperature - np.log(np.sum(np.exp(scores)))
    return total / 2 / len(a)


@pytest.mark.parametrize("same", [set(), {(0, 3), (3, 0)}, {(0, 1), (1, 0), (2, 4), (4, 2)}])
def test_info_nce_is_the_mean_over_both_directions_without_what_says_the_same(same: set[tuple[int, int]]) -> None:
    a, b = units(5, 8, 1), units(5, 8, 2)
    rows = torch.tensor([i for i, _ in sorted(same)], dtype=torch.long)
    columns = torch.tensor([j for _, j in sorted(same)], dtype=torch.long)
    found = losses.info_nce(a, b, (rows, columns), 0.1)
    assert float(found) == pytest.approx(oracle(a.double().numpy(), b.double().numpy(), same, 0.1), rel=1e-4)


def test_pairs_with_a_concept_or_a_text_in_common_say_the_same() -> None:
    concepts = (np.array([0, 1, 1, 2, 3]), np.array([7, 7, 8, 9, 10]))
    texts = (np.array([0, 1, 2, 3]), np.array([-5, 4, -5, 6]))
    rows, columns = losses.shared_rows([concepts, texts], 4)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(0, 1), (1, 0), (0, 2), (2, 0)}


def test_no_pair_is_the_same_as_itself() -> None:
    rows, _ = losses.shared_rows([(np.arange(3), np.arange(3))], 3)
    assert len(rows) == 0


def test_a_cut_adds_the_loss_of_the_first_numbers() -> None:
    vectors, none = torch.randn(8, 8, generator=torch.Generator().manual_seed(1)), (np.empty(0, dtype=np.int64),) * 2
    config = LossConfig(temperature=0.1)
    rng = np.random.default_rng(0)
    cut = LossConfig(temperature=0.1, matryoshka_dims=(2,), matryoshka_weight=0.5)
    short = losses.batch_loss(vectors[:, :2], none, config, rng)
    plain = losses.batch_loss(vectors, none, config, rng)
    assert float(losses.batch_loss(vectors, none, cut, rng)) == pytest.approx(float(plain + 0.5 * short), rel=1e-5)


def test_relation_loss_is_the_cross_entropy_of_the_targets_and_lowest_at_them() -> None:
    targets, side = units(6, 8, 3), torch.tensor(np.random.default_rng(4).standard_normal((6, 8)), dtype=torch.float32)
    targets[2] = 0.0  # nothing is known of it
    known = [row for row in range(6) if row != 2]
    t, v = targets[known].double().numpy(), losses.unit_vectors(side[known]).double().numpy()
    wanted, found = (np.exp(10 * left @ t.T) for left in (t, v))
    wanted, found = wanted / wanted.sum(1, keepdims=True), found / found.sum(1, keepdims=True)
    expected = -(wanted * np.log(found)).sum() / len(known)
    assert float(losses.relation_loss([side], targets, 0.1)) == pytest.approx(expected, rel=1e-4)
    at_targets = losses.relation_loss([targets], targets, 0.1)
    assert float(losses.relation_loss([3 * targets, side], targets, 0.1)) == pytest.approx(
        float((at_targets + expected) / 2), rel=1e-4
    )
    assert float(at_targets) < expected
    assert float(losses.relation_loss([side], torch.zeros(6, 8), 0.1)) == 0.0
