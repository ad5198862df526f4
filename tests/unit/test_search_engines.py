"""One contract for all search engines: exact, on a device, and approximate with every list scanned."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xlrec.index.ivf import require_faiss
from xlrec.kernels.search import initial_threshold
from xlrec.kernels.search.engine import ExactSearch, SearchEngine, TopK
from xlrec.kernels.search.items import Items, prepare_items
from xlrec.kernels.search.ivf_lists import assign_lists, coordinate_scales, default_list_count, invert_lists
from xlrec.kernels.search.ivf_search import IvfSearch
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.topk import inner_products
from xlrec.kernels.search.torch_search import TorchSearch

EngineOf = Callable[[Items], SearchEngine]


def ivf_of(items: Items, n_probes: int | None = None) -> IvfSearch:
    """A search that scans some lists; None: all of them."""
    require_faiss()
    scales = coordinate_scales(np.random.default_rng(0).normal(size=(64, items.dim)))
    n_lists = default_list_count(int((np.isfinite(items.norms) & (items.norms > 0)).sum()))
    lists = invert_lists(items.shards, assign_lists(items.shards, items.norms, scales, n_lists=n_lists, seed=0), scales)
    return IvfSearch(lists, items, scales, np.full(8, len(lists.means) if n_probes is None else n_probes))


ENGINES: dict[str, tuple[str, EngineOf]] = {
    "exact, float32": ("float32", ExactSearch),
    "exact, bf16": ("bf16", ExactSearch),
    "exact, int8": ("int8", ExactSearch),
    "device, float32": ("float32", lambda items: TorchSearch(items, "cpu", item_block=128)),
    "device, bfloat16": ("float32", lambda items: TorchSearch(items, "cpu", dtype=torch.bfloat16, item_block=300)),
    "device, streamed": ("float32", lambda items: TorchSearch(items, "cpu", item_block=50, keep_bytes=0)),
    "approximate": ("float32", ivf_of),
}


@pytest.fixture(params=sorted(ENGINES))
def engine_of(request: pytest.FixtureRequest) -> Callable[..., SearchEngine]:
    """Makes the engine of some vectors."""
    path, make = ENGINES[request.param]

    def made(vectors: NDArray[Any], shard_rows: int = 1300, **options: Any) -> SearchEngine:
        rows = np.asarray(vectors, dtype=np.float32)
        return make(prepare_items(cut(rows, shard_rows), path=path, **options))

    return made


def cut(items: NDArray[np.float32], rows: int) -> list[tuple[int, NDArray[np.float32]]]:
    return [(first, items[first : first + rows]) for first in range(0, len(items), rows)]


def open_mask(n_users: int, n_items: int, **changes: Any) -> Mask:
    return Mask.everything(n_users, n_items)._replace(**changes)


def random_mask(rng: np.random.Generator, n_users: int, n_items: int, share: float, seen_share: float) -> Mask:
    """Three markets, seen items, and languages that restrict half of the users."""
    seen = [np.flatnonzero(rng.random(n_items) < seen_share) for _ in range(n_users)]
    return Mask(
        rng.random((3, n_items)) < share,
        rng.integers(0, 3, n_users).astype(np.int32),
        np.concatenate([[0], np.cumsum([len(nums) for nums in seen])]).astype(np.int64),
        np.concatenate(seen).astype(np.int32),
        rng.integers(0, 4, (n_items, 2)).astype(np.uint64),
        rng.integers(0, 4, (n_users, 2)).astype(np.uint64),
        rng.random(n_users) < 0.5,
    )


def oracle(queries: NDArray[Any], items: NDArray[np.float32], k: int, mask: Mask, zero_vectors: bool = True) -> TopK:
    """Every score in float64, every item looked at, Python's sort."""
    ids, scores = np.full((len(queries), k), -1, np.int32), np.full((len(queries), k), -np.inf)
    for user, query in enumerate(queries):
        nums = np.arange(len(items))
        exact = inner_products(query[None].astype(float), np.zeros(len(items), int), nums, [(0, items)])
        seen = set(mask.seen_nums[mask.seen_indptr[user] : mask.seen_indptr[user + 1]].tolist())
        rows = []
        for num in range(len(items)):
            readable = not mask.restricted[user] or bool((mask.item_words[num] & mask.user_words[user]).any())
            ranks = np.isfinite(query).all() and np.isfinite(items[num]).all() and (zero_vectors or items[num].any())
            if mask.eligible[mask.group[user], num] and num not in seen and readable and ranks:
                rows.append((-exact[num], num))
        for place, (score, num) in enumerate(sorted(rows)[:k]):
            ids[user, place], scores[user, place] = num, -score
    return ids, scores


def assert_same(found: TopK, expected: TopK) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_any_blocks_and_shards_give_the_order_of_a_full_float64_search(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n_users, n_items, dim = (data.draw(st.integers(1, top)) for top in (7, 700, 40))
    k = data.draw(st.sampled_from([1, 2, 5, 30, 800]))
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
    share, seen_share = data.draw(st.sampled_from([0.01, 0.5, 1.0])), data.draw(st.sampled_from([0, 0.1, 1]))
    mask, zero_vectors = random_mask(rng, n_users, n_items, share, seen_share), data.draw(st.booleans())
    expected = oracle(queries, items, k, mask, zero_vectors)
    for name in data.draw(st.sets(st.sampled_from(sorted(ENGINES)), min_size=2, max_size=3)):
        path, make = ENGINES[name]
        ready = prepare_items(
            cut(items, data.draw(st.integers(1, n_items))),
            path=path,
            item_block=data.draw(st.integers(1, n_items)),
            kept_bytes=data.draw(st.sampled_from([0, 4000, 1 << 20])),
        )
        if make is ivf_of and not (np.isfinite(ready.norms) & (ready.norms > 0)).any():
            continue  # no list can be learnt
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(initial_threshold, "SAMPLE", data.draw(st.sampled_from([initial_threshold.SAMPLE, 5, 40])))
            place_of = data.draw(st.sampled_from([initial_threshold.place_of, lambda *_: 1]))  # the second: too high
            patched.setattr(initial_threshold, "place_of", place_of)
            engine, block = make(ready), data.draw(st.integers(1, n_users))
            assert_same(engine.top_k(queries, k, mask, zero_vectors=zero_vectors, user_block=block), expected)


def test_a_score_that_float32_misorders_is_ordered_in_float64(engine_of: Callable[..., SearchEngine]) -> None:
    engine = engine_of([[1, 2**-24], [1, 0], [1, 2**-20]])
    ids, scores = engine.top_k(np.array([[1.0, 1.0]]), 3, open_mask(1, 3), zero_vectors=False)
    assert ids.tolist() == [[2, 0, 1]]
    assert scores.tolist() == [[1 + 2**-20, 1 + 2**-24, 1]]


def test_thousands_of_copies_overflow_no_buffer_and_the_lowest_numbers_win(
    engine_of: Callable[..., SearchEngine],
) -> None:
    items = np.ones((5000, 8), np.float32)
    items[4321] *= 1.0000002
    engine = engine_of(items, item_block=999)
    ids, _ = engine.top_k(np.ones((2, 8)), 3, open_mask(2, 5000), zero_vectors=False)
    assert ids.tolist() == [[4321, 0, 1]] * 2


def test_seen_items_other_markets_and_other_languages_are_left_out_before(
    engine_of: Callable[..., SearchEngine],
) -> None:
    mask = open_mask(
        2, 6,
        eligible=np.array([[1, 1, 1, 1, 1, 0]], np.bool_),
        seen_indptr=np.array([0, 1, 1]), seen_nums=np.array([4], np.int32),
        item_words=np.array([[1], [2], [1], [2], [1], [1]], np.uint64),
        user_words=np.array([[1], [0]], np.uint64), restricted=np.array([True, False]),
    )  # fmt: skip
    engine = engine_of(np.arange(1, 7)[:, None] * np.ones((1, 3)))
    ids, _ = engine.top_k(np.ones((2, 3)), 3, mask, zero_vectors=False)
    assert ids.tolist() == [[2, 0, -1], [4, 3, 2]]


def test_a_list_longer_than_what_is_allowed_is_padded(engine_of: Callable[..., SearchEngine]) -> None:
    ids, scores = engine_of([[1.0], [3.0]]).top_k(np.ones((1, 1)), 4, open_mask(1, 2), zero_vectors=False)
    assert ids.tolist() == [[1, 0, -1, -1]]
    assert scores.tolist() == [[3.0, 1.0, -np.inf, -np.inf]]


def test_few_allowed_items_of_many_are_all_found(engine_of: Callable[..., SearchEngine]) -> None:
    eligible = np.zeros((1, 40_000), np.bool_)
    eligible[0, ::900] = True
    items = np.random.default_rng(7).normal(size=(40_000, 8))
    ids, _ = engine_of(items).top_k(np.ones((1, 8)), 50, open_mask(1, 40_000, eligible=eligible), zero_vectors=False)
    assert sorted(ids[0, :45].tolist()) == list(range(0, 40_000, 900))
    assert (ids[0, 45:] == -1).all()


def test_a_zero_query_gets_the_lowest_numbers_with_score_0(engine_of: Callable[..., SearchEngine]) -> None:
    engine = engine_of(np.ones((50, 4)))
    for zero_vectors in (True, False):
        ids, scores = engine.top_k(np.zeros((1, 4)), 3, open_mask(1, 50), zero_vectors=zero_vectors)
        assert ids.tolist() == [[0, 1, 2]]
        assert scores.tolist() == [[0, 0, 0]]


def test_zero_vectors_rank_unless_they_are_left_out(engine_of: Callable[..., SearchEngine]) -> None:
    engine, query = engine_of([[0, 0], [-1, 0], [1, 0]]), np.array([[1.0, 0]])
    assert engine.top_k(query, 3, open_mask(1, 3), zero_vectors=False)[0].tolist() == [[2, 1, -1]]
    assert engine.top_k(query, 3, open_mask(1, 3), zero_vectors=True)[0].tolist() == [[2, 0, 1]]


def test_a_query_that_is_not_finite_finds_nothing_and_changes_no_other_list(
    engine_of: Callable[..., SearchEngine],
) -> None:
    rng = np.random.default_rng(1)
    engine, queries, mask = engine_of(rng.normal(size=(90, 6))), rng.normal(size=(5, 6)), open_mask(5, 90)
    every = engine.top_k(queries, 7, mask, zero_vectors=False)
    queries[1], queries[4, 2] = np.nan, np.inf
    ids, scores = engine.top_k(queries, 7, mask, zero_vectors=False)
    assert_same((ids[[0, 2, 3]], scores[[0, 2, 3]]), (every[0][[0, 2, 3]], every[1][[0, 2, 3]]))
    assert (ids[[1, 4]] == -1).all()
    assert (scores[[1, 4]] == -np.inf).all()


def test_no_users_give_an_empty_answer(engine_of: Callable[..., SearchEngine]) -> None:
    ids, scores = engine_of(np.ones((5, 4))).top_k(np.zeros((0, 4)), 3, open_mask(0, 5))
    assert ids.shape == scores.shape == (0, 3)


def test_no_items_give_padding() -> None:
    for engine in (ExactSearch(prepare_items([])), TorchSearch(prepare_items([]), "cpu")):
        assert engine.top_k(np.ones((1, 4)), 2, open_mask(1, 0))[0].tolist() == [[-1, -1]]


def test_queries_too_large_for_float64_sums_are_refused(engine_of: Callable[..., SearchEngine]) -> None:
    with pytest.raises(ValueError, match="scale the queries"):
        engine_of(np.ones((1, 1))).top_k(np.full((1, 1), 1e200), 1, open_mask(1, 1), zero_vectors=False)


def test_items_too_large_for_float32_sums_are_refused() -> None:
    with pytest.raises(ValueError, match="scale the vectors"):
        prepare_items([(0, np.array([[2e37]], np.float32))])


@pytest.mark.parametrize("k", [1, 100])
def test_every_engine_gives_the_same_bits_on_vectors_like_learnt_ones(
    engine_of: Callable[..., SearchEngine], k: int
) -> None:
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(6000, 12)) @ rng.normal(size=(12, 100)) + 0.3 * rng.normal(size=(6000, 100))
    items = (factors * rng.lognormal(0, 1, (6000, 1))).astype(np.float32)
    items[:, 0] = 30 * rng.random(6000)  # one coordinate far above the others, as popularity is
    queries, mask = rng.normal(size=(9, 100)), open_mask(9, 6000)
    found = engine_of(items, 2500, item_block=700).top_k(queries, k, mask, zero_vectors=False)
    assert_same(found, oracle(queries, items, k, mask))


def test_roundings_that_all_point_one_way_change_nothing(engine_of: Callable[..., SearchEngine]) -> None:
    rng = np.random.default_rng(2)
    # each coordinate lies just below the middle of two bfloat16 numbers
    middle = 1 + 2.0**-8 - 2.0**-20
    items = np.full((400, 64), middle, np.float32) * rng.choice([0.25, 1, 4], (400, 1)).astype(np.float32)
    items[:, :3] *= (1 + 1e-3 * rng.random((400, 3))).astype(np.float32)
    queries, mask = np.full((3, 64), middle), open_mask(3, 400)
    assert_same(engine_of(items).top_k(queries, 20, mask, zero_vectors=False), oracle(queries, items, 20, mask))


def test_how_users_are_cut_into_calls_changes_no_list(engine_of: Callable[..., SearchEngine]) -> None:
    rng = np.random.default_rng(0)
    items = np.repeat(rng.normal(size=(200, 16)), 20, axis=0) + 1e-7 * rng.normal(size=(4000, 16))
    queries, mask = rng.normal(size=(30, 16)), random_mask(rng, 30, 4000, 0.6, 0.005)
    engine = engine_of(items)
    whole = engine.top_k(queries, 30, mask, zero_vectors=False)
    for size in (1, 7):
        for low in range(0, 30, size):
            users = np.arange(low, min(low + size, 30))
            part = engine.top_k(queries[users], 30, mask.of_users(users), zero_vectors=False)
            assert_same(part, (whole[0][users], whole[1][users]))
