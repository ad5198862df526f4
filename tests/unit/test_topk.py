"""Initial thresholds, error bounds and slices of the exact top-k; test_search_engines has all else."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xlrec.kernels.search import device_search, initial_threshold, topk
from xlrec.kernels.search.items import prepare_items
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.paths import PATHS
from xlrec.kernels.search.topk import top_k
from xlrec.kernels.search.torch_search import TorchSearch


@pytest.mark.parametrize("path", sorted(PATHS))
def test_users_whose_lists_do_not_reach_the_initial_threshold_are_searched_again(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    items, queries, k = rng.normal(size=(3000, 24)).astype(np.float32), rng.normal(size=(40, 24)), 60
    mask, ready = Mask.everything(40, 3000), prepare_items([(0, items)], path=path, item_block=900)
    expected = top_k(queries, ready, k, mask)
    again: list[int] = []
    whole = topk.Users.of_rows

    def counted(self: Any, rows: NDArray[np.int64]) -> Any:
        again.append(len(rows))
        return whole(self, rows)

    monkeypatch.setattr(topk.Users, "of_rows", counted)
    monkeypatch.setattr(initial_threshold, "SAMPLE", 300)
    for place, redone in ((initial_threshold.place_of, 0), (lambda *_: 1, 30)):
        monkeypatch.setattr(initial_threshold, "place_of", place)
        ids, scores = top_k(queries, ready, k, mask)
        np.testing.assert_array_equal(ids, expected[0])
        np.testing.assert_array_equal(scores, expected[1])
        assert sum(again) <= redone if redone == 0 else sum(again) >= redone


def test_an_initial_threshold_that_is_not_checked_would_lose_items(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    items, queries = rng.normal(size=(3000, 24)).astype(np.float32), rng.normal(size=(9, 24))
    mask = Mask.everything(9, 3000)
    monkeypatch.setattr(initial_threshold, "SAMPLE", 300)
    monkeypatch.setattr(initial_threshold, "place_of", lambda *_: 1)
    assert (top_k(queries, [(0, items)], 200, mask)[0] >= 0).all()
    monkeypatch.setattr(topk, "_short_of", lambda *_: np.zeros(0, np.int64))
    assert (top_k(queries, [(0, items)], 200, mask)[0] < 0).any()


@pytest.mark.parametrize("path", ["bf16", "int8"])
def test_without_its_error_bound_a_rounded_path_would_lose_items(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    items = rng.normal(size=(3000, 32)).astype(np.float32)
    queries, mask = rng.normal(size=(20, 32)), Mask.everything(20, 3000)
    right = top_k(queries, prepare_items([(0, items)]), 100, mask)[0]
    np.testing.assert_array_equal(top_k(queries, prepare_items([(0, items)], path=path), 100, mask)[0], right)
    monkeypatch.setattr("xlrec.kernels.search.topk.error_factors", lambda *_: (0.0, 0.0, 0.0))
    monkeypatch.setattr(PATHS[path], "relative", 0.0)
    assert (top_k(queries, prepare_items([(0, items)], path=path), 100, mask)[0] != right).any()


def test_on_a_device_slices_that_let_too_many_through_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_search, "_PAIRS", 60)
    monkeypatch.setattr(device_search, "_SMALL", 3)
    rng = np.random.default_rng(3)
    items = np.sort(rng.random(900))[:, None].astype(np.float32) * np.ones((1, 6), np.float32)
    queries, mask = np.abs(rng.normal(size=(4, 6))) * [[1], [1], [0], [1]], Mask.everything(4, 900)
    ready = prepare_items([(0, items)])
    ids, scores = TorchSearch(ready, "cpu").top_k(queries, 5, mask)
    expected = top_k(queries, ready, 5, mask)
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_array_equal(scores, expected[1])
