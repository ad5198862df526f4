"""Metrics of ranked lists, against ir-measures, slow oracles and their own bounds."""

from itertools import combinations
from typing import Any

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xlrec.kernels.evaluation import metrics

CUTOFFS = (1, 3, 10, 20)
ACCURACY = {
    "nDCG": metrics.ndcg,
    "R": metrics.recall,
    "RR": metrics.mrr,
    "AP": metrics.average_precision,
    "Success": metrics.hit_rate,
}


def lists_and_truth(seed: int, n_users: int = 40) -> tuple[list[list[int]], list[list[int]]]:
    rng = np.random.default_rng(seed)
    lists = [rng.permutation(40)[: rng.integers(0, 21)].tolist() for _ in range(n_users)]
    return lists, [sorted(rng.permutation(40)[: rng.integers(1, 30)].tolist()) for _ in range(n_users)]


def hits_of(lists: list[list[int]], truth: list[list[int]], width: int = 20) -> tuple[NDArray[Any], NDArray[Any]]:
    lengths = np.array([len(row) for row in lists])
    n_relevant = np.array([len(row) for row in truth])
    items = metrics.pad_runs(np.array([i for row in lists for i in row], dtype=np.int32), lengths, width, 0)
    relevant = np.array([i for row in truth for i in row], dtype=np.int32)
    return metrics.find_hits(items, lengths, relevant, n_relevant), n_relevant


@st.composite
def hit_rows(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    n_users, width = draw(st.integers(1, 6)), draw(st.integers(0, 12))
    hits = np.array(
        draw(st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=n_users, max_size=n_users))
    )
    hits = hits.reshape(n_users, width).astype(bool)
    extra = draw(st.lists(st.integers(0, 9), min_size=n_users, max_size=n_users))
    return hits, hits.sum(axis=1) + np.array(extra)


@pytest.mark.parametrize("name", ACCURACY)
@pytest.mark.parametrize("k", CUTOFFS)
def test_accuracy_metrics_agree_with_ir_measures(name: str, k: int) -> None:
    lists, truth = lists_and_truth(k)
    qrels = [ir_measures.Qrel(str(u), str(i), 1) for u, row in enumerate(truth) for i in row]
    run = [ir_measures.ScoredDoc(str(u), str(i), 100.0 - r) for u, row in enumerate(lists) for r, i in enumerate(row)]
    measure = getattr(ir_measures, name) @ k
    expected = {found.query_id: found.value for found in ir_measures.iter_calc([measure], qrels, run)}
    found = ACCURACY[name](*hits_of(lists, truth), k)
    # a user without a list is 0, whether ir-measures reports the query or not
    np.testing.assert_allclose(found, [expected.get(str(u), 0.0) for u in range(len(lists))], atol=1e-6)


def test_a_hand_computed_list() -> None:
    hits, n_relevant = hits_of([[7, 3, 9]], [[3, 8]], width=3)
    assert metrics.ndcg(hits, n_relevant, 3) == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert metrics.recall(hits, n_relevant, 3) == 0.5
    assert metrics.mrr(hits, n_relevant, 3) == 0.5
    assert metrics.average_precision(hits, n_relevant, 3) == 0.25
    assert metrics.hit_rate(hits, n_relevant, 1) == 0


@given(hit_rows(), st.integers(1, 15))
def test_accuracy_lies_between_0_and_1_and_is_nan_only_without_ground_truth(
    rows: tuple[NDArray[np.bool_], NDArray[np.int64]], k: int
) -> None:
    for metric in ACCURACY.values():
        found = metric(*rows, k)
        np.testing.assert_array_equal(np.isnan(found), rows[1] == 0)
        known = found[rows[1] > 0]
        assert ((known >= 0) & (known <= 1 + 1e-12)).all()


@given(hit_rows())
def test_recall_hit_rate_mrr_and_map_never_fall_as_k_grows(rows: tuple[NDArray[np.bool_], NDArray[np.int64]]) -> None:
    for metric in (metrics.recall, metrics.hit_rate, metrics.mrr, metrics.average_precision):
        by_k = np.array([metric(*rows, k) for k in range(1, 15)])[:, rows[1] > 0]
        assert (np.diff(by_k, axis=0) >= 0).all()


@given(hit_rows(), st.randoms())
def test_the_order_of_the_users_changes_no_value(
    rows: tuple[NDArray[np.bool_], NDArray[np.int64]], random: Any
) -> None:
    order = list(range(len(rows[0])))
    random.shuffle(order)
    for metric in ACCURACY.values():
        np.testing.assert_array_equal(metric(rows[0][order], rows[1][order], 5), metric(*rows, 5)[order])


@given(hit_rows(), st.integers(1, 15))
def test_a_longer_row_without_hits_changes_no_value(rows: tuple[NDArray[np.bool_], NDArray[np.int64]], k: int) -> None:
    wider = np.pad(rows[0], ((0, 0), (0, 5)))
    for metric in ACCURACY.values():
        np.testing.assert_array_equal(metric(wider, rows[1], k), metric(*rows, k))


def test_hits_are_found_in_the_users_own_ground_truth_and_not_beyond_the_lists_end() -> None:
    items = np.array([[1, 2, 0], [2, 1, 0]])
    hits = metrics.find_hits(items, np.array([2, 2]), np.array([1, 0, 2]), np.array([2, 1]))
    assert hits.tolist() == [[True, False, False], [True, False, False]]


def test_novelty_is_the_mean_information_and_finite_for_an_unknown_item() -> None:
    bits = metrics.self_information(np.array([0, 1, 3, 7]), 7)
    assert bits.tolist() == [3, 2, 1, 0]
    rows = np.array([[3.0, 1.0, 99.0], [99.0, 99.0, 99.0]])
    assert metrics.novelty(rows, np.array([2, 0]), 3).tolist() == [2, 0]
    assert metrics.novelty(rows, np.array([2, 0]), 1).tolist() == [3, 0]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_diversity_is_one_minus_the_mean_cosine_of_all_pairs(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(5, 6, 4)).astype(np.float32)
    vectors[rng.random((5, 6)) < 0.2] = 0
    lengths = rng.integers(0, 7, size=5)
    found = metrics.diversity(vectors, lengths, k)
    for user, length in enumerate(lengths):
        top = vectors[user, : min(k, length)].astype(np.float64)
        units = [row / (np.linalg.norm(row) or 1) for row in top]
        cosines = [float(a @ b) for a, b in combinations(units, 2)]
        assert found[user] == pytest.approx(1 - np.mean(cosines) if cosines else 0.0, abs=1e-9)


def test_a_list_of_one_item_repeated_has_no_diversity_and_orthogonal_items_have_all() -> None:
    vectors = np.array([[[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    assert metrics.diversity(vectors, np.array([2, 2]), 2) == pytest.approx([0, 1])


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_language_mix_error_is_the_total_variation_distance(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    shown, lengths = rng.integers(0, 4, size=(6, 7)), rng.integers(0, 8, size=6)
    languages = np.array([[0, 1], [2, -1], [3, 0], [-1, -1], [1, 2], [1, -1]])
    weights = np.where(languages >= 0, np.where(languages[:, 1:] >= 0, 0.5, 1.0), 0.0)
    weights[0] = [0.7, 0.3]
    found = metrics.language_mix_error(shown, lengths, languages, weights, k)
    for user, length in enumerate(lengths):
        top = shown[user, : min(k, length)]
        read = dict(zip(languages[user], weights[user], strict=True))
        if length == 0 or user == 3:
            assert found[user] == 1 if user != 3 else np.isnan(found[user])
            continue
        shares = [(np.mean(top == code), read.get(code, 0.0)) for code in range(4)]
        assert found[user] == pytest.approx(sum(abs(a - b) for a, b in shares) / 2)


def test_padding_cuts_and_fills_each_run() -> None:
    padded = metrics.pad_runs(np.array([1, 2, 3, 4]), np.array([3, 0, 1]), 2, -1)
    assert padded.tolist() == [[1, 2], [-1, -1], [4, -1]]
