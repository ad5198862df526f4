"""Exact top-k: the same as sorting every float64 score, whatever the blocks."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xlrec.kernels.search import device_search, initial_threshold, topk
from xlrec.kernels.search.device_items import DeviceItems
from xlrec.kernels.search.fastest import fastest, supported
from xlrec.kernels.search.paths import PATHS
from xlrec.kernels.search.topk import Mask, inner_products, prepare, top_k
from xlrec.kernels.search.topk_torch import top_k_torch


def open_mask(n_users: int, n_items: int, **changes: Any) -> Mask:
    """Everything allowed, unless changed."""
    mask = Mask(
        np.ones((1, n_items), np.bool_),
        np.zeros(n_users, np.int32),
        np.zeros(n_users + 1, np.int64),
        np.zeros(0, np.int32),
        np.ones((n_items, 1), np.uint64),
        np.zeros((n_users, 1), np.uint64),
        np.zeros(n_users, np.bool_),
    )
    return mask._replace(**changes)


def oracle(queries: NDArray[Any], items: NDArray[np.float32], k: int, mask: Mask) -> tuple[NDArray[Any], NDArray[Any]]:
    """Every score in float64, every item looked at, Python's sort."""
    ids, scores = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    for user, query in enumerate(queries):
        nums = np.arange(len(items))
        exact = inner_products(query[None].astype(float), np.zeros(len(items), int), nums, [(0, items)])
        seen = set(mask.seen_nums[mask.seen_indptr[user] : mask.seen_indptr[user + 1]].tolist())
        rows = []
        for num in range(len(items)):
            shared = bool((mask.item_words[num] & mask.user_words[user]).any())
            finite = np.isfinite(query).all() and np.isfinite(items[num]).all()
            if (
                mask.eligible[mask.group[user], num]
                and num not in seen
                and finite
                and (shared or not mask.restricted[user])
            ):
                rows.append((-exact[num], num))
        for place, (score, num) in enumerate(sorted(rows)[:k]):
            ids[user, place], scores[user, place] = num, -score
    return ids, scores


def cut(items: NDArray[np.float32], rows: int) -> list[tuple[int, NDArray[np.float32]]]:
    return [(first, items[first : first + rows]) for first in range(0, len(items), rows)]


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_blocks_and_shards_give_the_order_of_a_full_float64_search(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    n_users, n_items, dim = (data.draw(st.integers(1, top)) for top in (7, 700, 40))
    k = data.draw(st.sampled_from([1, 2, 5, 30, 800]))
    rng = np.random.default_rng(seed)
    n_kinds = data.draw(st.sampled_from([1, 3, n_items]))  # few kinds: many exact ties
    kinds = rng.normal(size=(n_kinds, dim)) * 10.0 ** data.draw(st.sampled_from([-20, 0, 15]))
    jitter = data.draw(st.sampled_from([0.0, 1e-7]))  # near-ties, closer than float32 can tell
    items = (kinds[rng.integers(0, n_kinds, n_items)] * (1 + jitter * rng.normal(size=(n_items, 1)))).astype(np.float32)
    queries = rng.normal(size=(n_users, dim)) * 10.0 ** data.draw(st.sampled_from([-30, 0, 30]))
    items[rng.random(n_items) < 0.05] = 0
    items[rng.random(n_items) < 0.02, 0] = np.nan
    items[rng.random(n_items) < 0.02, dim - 1] = np.inf
    queries[rng.random(n_users) < 0.1] = 0
    queries[rng.random(n_users) < 0.1, 0] = np.nan
    seen = [np.flatnonzero(rng.random(n_items) < data.draw(st.sampled_from([0, 0.1, 1]))) for _ in range(n_users)]
    mask = Mask(
        rng.random((3, n_items)) < data.draw(st.sampled_from([0.01, 0.5, 1.0])),
        rng.integers(0, 3, n_users).astype(np.int32),
        np.concatenate([[0], np.cumsum([len(nums) for nums in seen])]).astype(np.int64),
        np.concatenate(seen).astype(np.int32),
        rng.integers(0, 4, (n_items, 2)).astype(np.uint64),
        rng.integers(0, 4, (n_users, 2)).astype(np.uint64),
        rng.random(n_users) < 0.5,
    )
    expected_ids, expected_scores = oracle(queries, items, k, mask)
    ready = prepare(
        cut(items, data.draw(st.integers(1, n_items))),
        path=data.draw(st.sampled_from(sorted(PATHS))),
        item_block=data.draw(st.integers(1, n_items)),
        kept_bytes=data.draw(st.sampled_from([0, 4000, 1 << 20])),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(initial_threshold, "SAMPLE", data.draw(st.sampled_from([initial_threshold.SAMPLE, 5, 40])))
        place_of = data.draw(st.sampled_from([initial_threshold.place_of, lambda *_: 1]))  # the second is mostly wrong
        patched.setattr(initial_threshold, "place_of", place_of)
        ids, scores = top_k(
            queries,
            ready,
            k,
            mask,
            user_block=data.draw(st.integers(1, n_users)),
        )
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_array_equal(scores, expected_scores)
    kind = data.draw(st.sampled_from([torch.float32, torch.bfloat16]))
    on_device = top_k_torch(
        queries,
        DeviceItems(ready, "cpu", kind, keep_bytes=data.draw(st.sampled_from([0, None]))),
        k,
        mask,
        user_block=data.draw(st.integers(1, n_users)),
        item_block=data.draw(st.sampled_from([50, 128, 1000])),
    )
    np.testing.assert_array_equal(on_device[0], expected_ids)
    np.testing.assert_array_equal(on_device[1], expected_scores)


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_guessed_floor_is_hardly_ever_wrong_and_where_it_is_the_user_is_searched_for_again(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    items, queries, k = rng.normal(size=(3000, 24)).astype(np.float32), rng.normal(size=(40, 24)), 60
    mask, ready = open_mask(40, 3000), prepare([(0, items)], path=path, item_block=900)
    expected = oracle(queries, items, k, mask)
    again: list[int] = []
    whole = topk.Users.of

    def counted(self: Any, rows: NDArray[np.int64]) -> Any:
        again.append(len(rows))
        return whole(self, rows)

    monkeypatch.setattr(topk.Users, "of", counted)
    monkeypatch.setattr(initial_threshold, "SAMPLE", 300)
    for place, redone in ((initial_threshold.place_of, 0), (lambda *_: 1, 30)):
        monkeypatch.setattr(initial_threshold, "place_of", place)
        ids, scores = top_k(queries, ready, k, mask)
        np.testing.assert_array_equal(ids, expected[0])
        np.testing.assert_array_equal(scores, expected[1])
        assert sum(again) <= redone if redone == 0 else sum(again) >= redone


def test_a_guess_that_nothing_proves_would_lose_items(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    items, queries, mask = rng.normal(size=(3000, 24)).astype(np.float32), rng.normal(size=(9, 24)), open_mask(9, 3000)
    monkeypatch.setattr(initial_threshold, "SAMPLE", 300)
    monkeypatch.setattr(initial_threshold, "place_of", lambda *_: 1)
    assert (top_k(queries, [(0, items)], 200, mask)[0] >= 0).all()
    monkeypatch.setattr(topk, "_rounded_down", lambda scores, _: np.full(len(scores), np.float32(np.inf)))
    assert (top_k(queries, [(0, items)], 200, mask)[0] < 0).any()


def test_few_allowed_items_give_no_guess() -> None:
    eligible = np.zeros((1, 40_000), np.bool_)
    eligible[0, ::900] = True
    items = np.random.default_rng(7).normal(size=(40_000, 8)).astype(np.float32)
    mask = open_mask(1, 40_000, eligible=eligible)
    ids, _ = top_k(np.ones((1, 8)), [(0, items)], 50, mask)
    assert sorted(ids[0, :45].tolist()) == list(range(0, 40_000, 900))
    assert (ids[0, 45:] == -1).all()


def test_a_score_that_float32_misorders_is_ordered_in_float64() -> None:
    items = np.array([[1, 2**-24], [1, 0], [1, 2**-20]], np.float32)
    ids, scores = top_k(np.array([[1.0, 1.0]]), [(0, items)], 3, open_mask(1, 3))
    assert ids.tolist() == [[2, 0, 1]]
    assert scores.tolist() == [[1 + 2**-20, 1 + 2**-24, 1]]


def test_thousands_of_copies_overflow_no_buffer_and_the_lowest_numbers_win() -> None:
    items = np.ones((5000, 8), np.float32)
    items[4321] *= 1.0000002
    ids, _ = top_k(np.ones((2, 8)), cut(items, 1300), 3, open_mask(2, 5000), item_block=999)
    assert ids.tolist() == [[4321, 0, 1]] * 2


def test_a_zero_query_gets_the_lowest_numbers_with_score_0() -> None:
    ids, scores = top_k(np.zeros((1, 4)), [(0, np.ones((50, 4), np.float32))], 3, open_mask(1, 50))
    assert ids.tolist() == [[0, 1, 2]]
    assert scores.tolist() == [[0, 0, 0]]


def test_zero_vectors_never_rank_where_so_asked() -> None:
    items = np.array([[0, 0], [-1, 0], [1, 0]], np.float32)
    ids, _ = top_k(np.array([[1.0, 0]]), [(0, items)], 3, open_mask(1, 3), zero_vectors=False)
    assert ids.tolist() == [[2, 1, -1]]


def test_no_users_and_no_items_give_empty_answers() -> None:
    assert top_k(np.zeros((0, 4)), [(0, np.ones((5, 4), np.float32))], 3, open_mask(0, 5))[0].shape == (0, 3)
    assert top_k(np.ones((1, 4)), [], 2, open_mask(1, 0))[0].tolist() == [[-1, -1]]


def test_vectors_too_large_for_float32_sums_are_refused() -> None:
    with pytest.raises(ValueError, match="scale the vectors"):
        top_k(np.ones((1, 1)), [(0, np.array([[2e37]], np.float32))], 1, open_mask(1, 1))
    with pytest.raises(ValueError, match="scale the queries"):
        top_k(np.full((1, 1), 1e200), [(0, np.ones((1, 1), np.float32))], 1, open_mask(1, 1))


@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize("k", [1, 100])
def test_every_path_gives_the_same_bits_on_vectors_like_learnt_ones(path: str, k: int) -> None:
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(6000, 12)) @ rng.normal(size=(12, 100)) + 0.3 * rng.normal(size=(6000, 100))
    items = (factors * rng.lognormal(0, 1, (6000, 1))).astype(np.float32)
    items[:, 0] = 30 * rng.random(6000)  # one coordinate far above the others, as popularity is
    queries = rng.normal(size=(9, 100))
    mask = open_mask(9, 6000)
    ids, scores = top_k(queries, prepare(cut(items, 2500), path=path, item_block=700), k, mask)
    expected_ids, expected_scores = oracle(queries, items, k, mask)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize("path", sorted(PATHS))
def test_roundings_that_all_point_one_way_change_nothing(path: str) -> None:
    rng = np.random.default_rng(2)
    # each coordinate lies just below the middle of two bfloat16 numbers
    items = np.full((400, 64), 1 + 2.0**-8 - 2.0**-20, np.float32) * rng.choice([0.25, 1, 4], (400, 1)).astype(
        np.float32
    )
    items[:, :3] *= (1 + 1e-3 * rng.random((400, 3))).astype(np.float32)
    queries = np.full((3, 64), 1 + 2.0**-8 - 2.0**-20)
    mask = open_mask(3, 400)
    ids, scores = top_k(queries, prepare([(0, items)], path=path), 20, mask)
    expected_ids, expected_scores = oracle(queries, items, 20, mask)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize("path", ["bf16", "int8"])
def test_without_its_error_bound_a_rounded_path_would_lose_items(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    items = rng.normal(size=(3000, 32)).astype(np.float32)
    queries, mask = rng.normal(size=(20, 32)), open_mask(20, 3000)
    right = top_k(queries, prepare([(0, items)], path="float32"), 100, mask)[0]
    np.testing.assert_array_equal(top_k(queries, prepare([(0, items)], path=path), 100, mask)[0], right)
    monkeypatch.setattr("xlrec.kernels.search.topk.error_factors", lambda *_: (0.0, 0.0, 0.0))
    monkeypatch.setattr(PATHS[path], "relative", 0.0)
    assert (top_k(queries, prepare([(0, items)], path=path), 100, mask)[0] != right).any()


def test_a_path_is_tried_only_where_the_processor_names_its_instructions() -> None:
    assert supported(frozenset({"avx2"})) == ("float32",)
    assert supported(frozenset({"avx512_vnni", "amx_bf16"})) == ("float32", "bf16", "int8")


def test_a_product_that_breaks_its_bound_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrec.kernels.search.fastest.cpu_flags", lambda: frozenset({"avx512_bf16", "avx512_vnni"}))
    fastest.cache_clear()
    assert set(fastest(72)) == {"float32", "bf16", "int8"}
    right = PATHS["int8"].product
    saturated = staticmethod(lambda *args: np.minimum(right(*args), 500_000))
    monkeypatch.setattr(PATHS["int8"], "product", saturated)
    fastest.cache_clear()
    assert set(fastest(72)) == {"float32", "bf16"}
    fastest.cache_clear()


def test_int8_is_left_where_vectors_are_short_or_one_coordinate_drowns_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xlrec.kernels.search.items.fastest", lambda _: ("int8", "bf16", "float32"))
    vectors = np.random.default_rng(0).normal(size=(20_000, 256)).astype(np.float32)
    assert prepare([(0, vectors)]).path.name == "int8"
    assert prepare([(0, vectors[:, :152])]).path.name == "bf16"
    assert prepare([(0, vectors)], n_queries=3).path.name == "float32"
    assert prepare([(0, vectors[:100])]).path.name == "float32"
    vectors[:, 0] = 100
    assert prepare([(0, vectors)]).path.name == "bf16"


def test_on_a_device_slices_that_let_too_many_through_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_search, "_PAIRS", 60)
    monkeypatch.setattr(device_search, "_SMALL", 3)
    rng = np.random.default_rng(3)
    items = np.sort(rng.random(900))[:, None].astype(np.float32) * np.ones((1, 6), np.float32)
    queries, mask = np.abs(rng.normal(size=(4, 6))) * [[1], [1], [0], [1]], open_mask(4, 900)
    found = top_k_torch(queries, [(0, items)], 5, mask, device="cpu")
    expected = oracle(queries, items, 5, mask)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
