"""The approximate first pass: what it may miss, what it never does, and how many lists the measured recall asks for."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.index_arrays import write_arrays

from xlrec.config.models import Config
from xlrec.errors import LakeError, MachineError
from xlrec.index import ivf
from xlrec.index.items import ItemIndex
from xlrec.kernels.search.ivf_lists import (
    InvertedLists,
    assign_lists,
    coordinate_scales,
    default_list_count,
    invert_lists,
)
from xlrec.kernels.search.ivf_search import IvfSearch
from xlrec.kernels.search.mask import Mask, may_get
from xlrec.kernels.search.probing import Probes, Sample, overlaps, probes_for
from xlrec.kernels.search.topk import inner_products, prepare_items, top_k
from xlrec.pipeline.run import running_on

ivf.require_faiss()
N_MARKETS = 3


def clustered(rng: np.random.Generator, n: int, dim: int, n_kinds: int) -> Any:
    kinds = rng.normal(size=(n_kinds, dim))
    return (kinds[rng.integers(0, n_kinds, n)] + 0.3 * rng.normal(size=(n, dim))).astype(np.float32)


def lists_of(items: Any, scales: Any, n_lists: int, seed: int = 0) -> InvertedLists:
    norms = np.linalg.norm(items.astype(float), axis=1)
    return invert_lists([(0, items)], assign_lists([(0, items)], norms, scales, n_lists=n_lists, seed=seed), scales)


def search_of(items: Any, scales: Any, n_lists: int, n_probes: list[int]) -> IvfSearch:
    return IvfSearch(lists_of(items, scales, n_lists), prepare_items([(0, items)]), scales, np.array(n_probes))


def oracle(search: IvfSearch, query: Any, user: int, k: int, mask: Mask, items: Any) -> list[tuple[float, int]]:
    """(score, item_num) of the user's best allowed items in the lists that are nearest, looked at one by one."""
    lists, zero = search.lists, np.zeros(len(items), int)
    scaled = np.atleast_2d(query) / np.linalg.norm(query) / search.scales
    to_means = inner_products(scaled, zero[: len(lists.means)], np.arange(len(lists.means)), [(0, lists.means)])
    exact = inner_products(np.atleast_2d(query), zero, np.arange(len(items)), [(0, items)])
    rows = []
    for place in np.argsort(-to_means, kind="stable")[: search.n_probes[mask.group[user]]]:
        nums = lists.nums[lists.indptr[place] : lists.indptr[place + 1]]
        rows += [(-exact[num], num) for num in nums.tolist() if may_get(mask, user, num)]
    return [(-score, num) for score, num in sorted(rows)[:k]]


def mask_of(rng: np.random.Generator, n_users: int, n_items: int, share: float = 0.6, n_seen: int = 20) -> Mask:
    """Markets that sell a share of the items, seen items of some users, languages that restrict some."""
    seen = [np.sort(rng.choice(n_items, rng.integers(0, n_seen + 1), replace=False)) for _ in range(n_users)]
    return Mask(
        rng.random((N_MARKETS, n_items)) < share,
        rng.integers(0, N_MARKETS, n_users).astype(np.int32),
        np.concatenate([[0], np.cumsum([len(nums) for nums in seen])]).astype(np.int64),
        np.concatenate(seen).astype(np.int32),
        rng.integers(1, 8, (n_items, 1)).astype(np.uint64),
        rng.integers(1, 8, (n_users, 1)).astype(np.uint64),
        rng.random(n_users) < 0.5,
    )


@given(
    seed=st.integers(0, 2**32 - 1), n_items=st.integers(40, 900), k=st.sampled_from([1, 7, 60]),
    n_lists=st.integers(1, 12), n_probe=st.integers(0, 12), share=st.sampled_from([0.02, 0.5, 1.0]),
    n_copies=st.sampled_from([1, 40]),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_a_user_gets_the_exact_best_of_the_lists_looked_at_and_all_is_exact_where_these_are_too_few(
    seed: int, n_items: int, k: int, n_lists: int, n_probe: int, share: float, n_copies: int
) -> None:
    rng = np.random.default_rng(seed)
    items = np.repeat(clustered(rng, -(-n_items // n_copies), 9, 5), n_copies, axis=0)  # copies: exact ties
    items[rng.random(len(items)) < 0.1] = 0
    queries = rng.normal(size=(12, 9)) * np.logspace(-1, 1, 9) * 10.0 ** rng.integers(-9, 9)
    queries[0], queries[1, 3] = 0, np.nan
    mask, ready = mask_of(rng, 12, len(items), share), prepare_items(cut(items, len(items) // 2))
    scales = coordinate_scales(queries)
    search = search_of(items, scales, n_lists, [n_probe, n_lists, 0])
    ids, scores = search.top_k(queries, k, mask, zero_vectors=False)
    exact_ids, exact_scores = top_k(queries, ready, k, mask, zero_vectors=False)
    whole = search.search_lists(queries, k, mask)[0][:, -1] >= 0
    for user in range(12):
        looks = user > 1 and mask.group[user] != 2
        best = oracle(search, queries[user], user, k, mask, items) if looks else []
        assert whole[user] == (len(best) == k)
        if len(best) == k:
            assert list(zip(scores[user], ids[user], strict=True)) == best
        else:
            np.testing.assert_array_equal(ids[user], exact_ids[user])
            np.testing.assert_array_equal(scores[user], exact_scores[user])


def cut(items: Any, rows: int) -> list[tuple[int, Any]]:
    return [(first, items[first : first + rows]) for first in range(0, len(items), rows)]


def test_lists_hold_every_item_that_can_rank_once_in_order_beside_its_vector_whatever_the_shards() -> None:
    rng = np.random.default_rng(2)
    items, scales = clustered(rng, 500, 6, 9), np.linspace(0.1, 2, 6)
    items[::7] = 0
    whole, norms = lists_of(items, scales, 9), np.linalg.norm(items.astype(float), axis=1)
    assert sorted(whole.nums.tolist()) == np.flatnonzero(norms > 0).tolist()
    np.testing.assert_array_equal(whole.vectors, items[whole.nums])
    for place in range(len(whole.means)):
        here = slice(whole.indptr[place], whole.indptr[place + 1])
        assert (np.diff(whole.nums[here]) > 0).all()
        np.testing.assert_allclose(whole.means[place], (items[whole.nums[here]] * scales).mean(axis=0), rtol=1e-5)
    owners = assign_lists(cut(items, 77), norms, scales, n_lists=9, seed=0)
    for one, other in zip(whole, invert_lists(cut(items, 77), owners, scales), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_seed_gives_the_same_lists_and_another_seed_others() -> None:
    items = clustered(np.random.default_rng(0), 3000, 8, 30)
    one, again, other = (lists_of(items, np.ones(8), 20, seed) for seed in (5, 5, -6))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one.nums, other.nums)


def learnt_world(rng: np.random.Generator) -> tuple[Any, Any, Mask]:
    """Items of a learnt part and of 20 markets' popularity, which is large and of which each user asks for one."""
    items = np.concatenate([clustered(rng, 6000, 12, 60), 8 * rng.normal(size=(6000, 20))], axis=1).astype(np.float32)
    queries = np.zeros((60, 32))
    queries[:, :12] = 4 * clustered(rng, 60, 12, 60)
    queries[np.arange(60), 12 + np.arange(60) % 20] = 0.2
    return items, queries, mask_of(rng, 60, 6000, 1.0)._replace(restricted=np.zeros(60, np.bool_))


def test_scaled_coordinates_find_what_lists_of_unscaled_ones_miss() -> None:
    items, queries, mask = learnt_world(np.random.default_rng(3))
    ready = prepare_items([(0, items)])
    exact = top_k(queries, ready, 50, mask, zero_vectors=False)[0]
    recall = {}
    for name, scales in (("scaled", coordinate_scales(queries)), ("plain", np.ones(32))):
        found = search_of(items, scales, 100, [10] * N_MARKETS).search_lists(queries, 50, mask)[0]
        recall[name] = overlaps(found, exact).mean()
    assert recall["scaled"] > recall["plain"] + 0.2


def test_a_market_looks_at_as_many_lists_as_its_recall_needs_and_one_that_needs_too_many_is_searched_exactly() -> None:
    rng = np.random.default_rng(4)
    items = clustered(rng, 8000, 24, 50)
    group = np.repeat(np.arange(N_MARKETS), 40).astype(np.int32)
    queries = items[rng.integers(0, 8000, 120)].astype(float)  # market 0 asks for what lies together
    queries[group == 1] = rng.normal(size=(40, 24))  # market 1 for what lies anywhere
    queries[group == 2] = np.nan  # nobody of market 2 has a query
    mask = mask_of(rng, 120, 8000)._replace(group=group, restricted=np.zeros(120, np.bool_))
    ready = prepare_items([(0, items)])
    sample = Sample(queries, mask, top_k(queries, ready, 60, mask, zero_vectors=False)[0])
    scales = coordinate_scales(queries)
    lists = lists_of(items, scales, 200)

    def chosen(min_recall: float) -> Probes:
        return probes_for(lists, scales, sample, ready, k=10, min_recall=min_recall, first=1)

    probes = chosen(0.9)
    assert 0 < probes.n_probes[0] < probes.n_probes[1]
    assert probes.n_probes[2] == probes.wanted[2, 0] == 0
    served = IvfSearch(lists, ready, scales, probes.n_probes).top_k(queries, 60, mask, zero_vectors=False)[0]
    for market in (0, 1):
        mine = sample.exact[group == market]
        assert probes.wanted[market].tolist() == [(mine >= 0).sum(), (mine[:, :10] >= 0).sum()]
        hits = [len(set(a) & set(b)) for a, b in zip(served[group == market].tolist(), mine.tolist(), strict=True)]
        assert 0.9 * probes.wanted[market, 0] <= probes.found[market, 0] <= sum(hits)  # who came short: exactly
    assert chosen(1.0).n_probes[1] == 0
    assert chosen(1.0).found[1].tolist() == probes.wanted[1].tolist()
    fewer = chosen(0.5).n_probes
    assert (fewer[:2] <= probes.n_probes[:2]).all()


def test_a_market_whose_users_come_short_of_candidates_is_searched_exactly() -> None:
    rng = np.random.default_rng(5)
    items = clustered(rng, 4000, 8, 20)
    mask = mask_of(rng, 60, 4000, share=0.004)  # about 16 items a market, 50 candidates
    queries, ready = rng.normal(size=(60, 8)), prepare_items([(0, items)])
    sample = Sample(queries, mask, top_k(queries, ready, 50, mask, zero_vectors=False)[0])
    lists = lists_of(items, np.ones(8), 40)
    assert not probes_for(lists, np.ones(8), sample, ready, k=10, min_recall=0.01, first=1).n_probes.any()


def test_overlaps_counts_an_item_wherever_it_stands_in_the_users_own_list() -> None:
    found, exact = np.array([[3, 1], [2, -1], [-1, -1]]), np.array([[1, 2, 3], [1, 2, -1], [-1, -1, -1]])
    assert overlaps(found, exact).tolist() == [[True, False, True], [False, True, False], [False] * 3]


def test_lists_grow_with_the_root_of_the_items_and_are_never_too_small_to_learn() -> None:
    assert [default_list_count(n) for n in (0, 39, 1000, 10_000, 1_000_000)] == [1, 1, 25, 256, 4000]


def told(n_probe: int) -> Probes:
    return Probes(np.array([n_probe]), np.zeros((1, 2), np.int64), np.zeros((1, 2), np.int64))


def test_the_files_open_with_what_was_measured_and_not_for_other_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    vectors = clustered(rng, 500, 8, 10)
    write_arrays(tmp_path, item_ids=[f"i{num}" for num in range(500)], vectors=vectors)
    index, scales = ItemIndex.open_folder(str(tmp_path)), np.linspace(1, 2, 8)
    assert not ivf.has_lists(index)
    ready = prepare_items(index.shards, norms=np.asarray(index.norms))
    ivf.write_lists(index, None, ready, scales, n_lists=12, seed=0)
    assert ivf.open_search(index, None, ready) is None  # nothing was measured yet
    ivf.write_probes(index, None, scales, told(3))
    opened = ivf.open_search(index, None, ready)
    assert opened is not None
    assert ivf.open_search(index, None, ready) is opened
    ivf.finish_lists(index, {"ann.users": 9})
    assert ivf.has_lists(index)
    mask, queries = mask_of(rng, 9, 500)._replace(group=np.zeros(9, np.int32)), rng.normal(size=(9, 8))
    expected = search_of(vectors, scales, 12, [3]).search_lists(queries, 5, mask)
    np.testing.assert_array_equal(opened.search_lists(queries, 5, mask)[0], expected[0])
    write_arrays(tmp_path, item_ids=[f"i{num}" for num in range(400)], vectors=vectors[:400])
    with pytest.raises(LakeError, match=r"ivf-texts.json was made of vectors \[500, 'texts'\], not of the index's"):
        ivf.open_search(ItemIndex.open_folder(str(tmp_path)), None, ready)
    ivf.discard_lists(index)
    assert ivf.open_search(ItemIndex.open_folder(str(tmp_path)), None, ready) is None


def test_a_damaged_file_is_one_line_and_no_crash(tmp_path: Path) -> None:
    vectors = clustered(np.random.default_rng(7), 200, 8, 5)
    write_arrays(tmp_path, item_ids=[f"i{num}" for num in range(200)], vectors=vectors)
    index = ItemIndex.open_folder(str(tmp_path))
    ready = prepare_items(index.shards)
    ivf.write_lists(index, None, ready, np.ones(8), n_lists=4, seed=0)
    ivf.write_probes(index, None, np.ones(8), told(2))
    (tmp_path / "ivf-texts-nums.npy").write_bytes(b"torn")
    with pytest.raises(LakeError, match=r"cannot be read .*run `xlrec train` again") as error:
        ivf.open_search(index, None, ready)
    assert "\n" not in str(error.value)


def test_a_missing_package_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MachineError, match=r"pip install 'xlrec\[ann\]'` where the driver runs, or set") as e:
        ivf.require_faiss()
    assert "\n" not in str(e.value)


def test_a_run_stops_at_its_start_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    told = {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "retrieve": {"search": "ann"}}
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MachineError, match=r"retrieve\.search is ann"):
        running_on(nothing, Config.model_validate(told), nothing, None).__enter__()


def test_faiss_is_not_imported_unless_it_is_used() -> None:
    code = "import sys, xlrec.cli.app, xlrec.pipeline.night, xlrec.stages.retrieve; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
