"""Losses against slow and obvious ones."""

import numpy as np
import pytest
import torch

from xlrec.training.encoder import losses


def units(n: int, dim: int, seed: int) -> torch.Tensor:
    return losses.unit(torch.tensor(np.random.default_rng(seed).standard_normal((n, dim)), dtype=torch.float32))


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
    rows, columns = losses.same_pairs([concepts, texts], 4)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(0, 1), (1, 0), (0, 2), (2, 0)}


def test_no_pair_is_the_same_as_itself() -> None:
    rows, _ = losses.same_pairs([(np.arange(3), np.arange(3))], 3)
    assert len(rows) == 0


def test_distillation_counts_only_pairs_with_a_teacher() -> None:
    a, b = units(3, 6, 1), units(3, 6, 2)
    teacher = units(3, 6, 3)
    teacher[1] = 0
    cosines = [(float(a[i] @ teacher[i]) + float(b[i] @ teacher[i])) / 2 for i in (0, 2)]
    assert float(losses.distillation(a, b, teacher)) == pytest.approx(1 - np.mean(cosines), rel=1e-5)
    assert float(losses.distillation(a, a, torch.zeros(3, 6))) == 0


def test_a_cut_adds_the_loss_of_the_first_numbers() -> None:
    a, b = units(4, 8, 1), units(4, 8, 2)
    none = (torch.empty(0, dtype=torch.long),) * 2
    plain = losses.whole_loss((a, b), none, 0.1)
    cut = losses.whole_loss((a, b), none, 0.1, cut=(2, 0.5))
    short = losses.info_nce(losses.unit(a[:, :2]), losses.unit(b[:, :2]), none, 0.1)
    assert float(cut) == pytest.approx(float(plain + 0.5 * short), rel=1e-5)


def test_relations_are_least_where_texts_are_as_near_as_the_teacher_says() -> None:
    teacher = units(6, 4, 1)
    turned = teacher @ torch.linalg.qr(units(4, 4, 2))[0]
    right, wrong = (
        losses.relations(turned, turned, teacher, 0.1),
        losses.relations(turned, turned.flip(1), teacher, 0.1),
    )
    shares = torch.softmax(teacher @ teacher.T / 0.1, dim=1)
    assert float(right) == pytest.approx(float(-(shares * shares.log()).sum(dim=1).mean()), rel=1e-5)
    assert right < wrong


def test_relations_leave_out_pairs_without_a_teacher() -> None:
    a, b, teacher = units(5, 6, 1), units(5, 6, 2), units(5, 3, 3)
    teacher[[0, 3]] = 0
    known = [1, 2, 4]
    fewer = losses.relations(a[known], b[known], teacher[known], 0.1)
    assert float(losses.relations(a, b, teacher, 0.1)) == pytest.approx(float(fewer), rel=1e-5)
    assert float(losses.relations(a, b, torch.zeros(5, 3), 0.1)) == 0
