"""Candidates of all sources together: the same as Python's sets and sorts."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.history.profiles import Histories
from xlrec.kernels.history.sparse import MarketPopularity, Neighbours, Scratch, empty_union, merge_candidates
from xlrec.kernels.search.mask import Mask

SIZES = (("users", 1, 5), ("items", 1, 60), ("candidates", 1, 12), ("k", 1, 20), ("links", 0, 15), ("history", 0, 8))


def csr(lists: list[Any], kind: Any) -> tuple[Any, Any]:
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return indptr, np.concatenate([np.zeros(0), *lists]).astype(kind)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_each_source_gives_its_best_allowed_items_and_the_fallback_the_next(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sizes = {name: data.draw(st.integers(low, high)) for name, low, high in SIZES}
    n_users, n_items, width, k = (sizes[name] for name in ("users", "items", "candidates", "k"))
    eligible = rng.random((1, n_items)) < data.draw(st.sampled_from([0.2, 0.8, 1.0]))
    seen = [np.sort(rng.choice(n_items, rng.integers(0, n_items // 2 + 1), replace=False)) for _ in range(n_users)]
    seen_indptr, seen_nums = csr(seen, np.int32)
    mask = Mask(
        eligible, np.zeros(n_users, np.int32), seen_indptr, seen_nums,
        rng.integers(0, 4, (n_items, 1)).astype(np.uint64),
        rng.integers(0, 4, (n_users, 1)).astype(np.uint64), rng.random(n_users) < 0.5,
    )  # fmt: skip
    # Halves and quarters: sums are exact in any order, and ties are many.
    popular = rng.integers(0, 4, n_items) / 2
    order = np.array(sorted(np.flatnonzero(eligible[0]), key=lambda num: (-popular[num], num)), dtype=np.int32)
    links = [rng.choice(n_items, min(n_items, sizes["links"]), replace=False) for _ in range(n_items)]
    indptr, nums = csr(links, np.int32)
    scores = rng.integers(0, 4, len(nums)) / 4
    chosen = [rng.choice(n_items, min(n_items, sizes["history"]), replace=False) for _ in range(n_users)]
    h_indptr, h_nums = csr(chosen, np.int32)
    weights = rng.integers(1, 3, len(h_nums)) / 2
    history = Histories(h_indptr, h_nums, weights, seen_indptr, seen_nums)

    def may(user: int, num: int) -> bool:
        shared = bool((mask.item_words[num] & mask.user_words[user]).any())
        return bool(eligible[0, num]) and num not in seen[user] and (shared or not mask.restricted[user])

    found = np.full((n_users, width), -1, np.int32)
    found_scores = np.full((n_users, width), -np.inf)
    for user in range(n_users):
        some = [num for num in rng.permutation(n_items) if may(user, num)][: rng.integers(0, width + 1)]
        found[user, : len(some)], found_scores[user, : len(some)] = some, -np.arange(len(some))
    scratch, union, strict = (
        Scratch.empty_scratch(n_items),
        empty_union(n_users, 3 * width, k),
        data.draw(st.booleans()),
    )
    merge_candidates(
        np.arange(n_users), (found, found_scores), history, Neighbours(indptr, nums, scores),
        MarketPopularity(order, popular), mask, scratch, union, strict=strict,
    )  # fmt: skip
    assert not scratch.sums.any()
    assert not scratch.places.any()
    for user in range(n_users):
        sums = np.zeros(n_items)
        for row in range(h_indptr[user], h_indptr[user + 1]):
            low, high = indptr[h_nums[row]], indptr[h_nums[row] + 1]
            sums[nums[low:high]] += weights[row] * scores[low:high]
        ranked = {
            "covisited": sorted(np.flatnonzero(sums > 0), key=lambda num: (-sums[num], num)),
            "popular": [num for num in order if popular[num] > 0],
        }
        best = {name: [num for num in rows if may(user, num)][:width] for name, rows in ranked.items()}
        similar = {int(num): place for place, num in enumerate(found[user]) if num >= 0}
        together = sorted({*similar, *map(int, best["covisited"]), *map(int, best["popular"])})
        size = union.sizes[user]
        assert union.nums[user, :size].tolist() == together
        assert union.covisited[user, :size].tolist() == sums[together].tolist()
        assert union.popular[user, :size].tolist() == popular[together].tolist()
        expected = [-similar.get(num, np.nan) for num in together]
        np.testing.assert_array_equal(union.similar[user, :size], expected)
        rest = [num for num in order if may(user, num) and num not in together]
        if not strict:
            rest += [num for num in order if not may(user, num) and num not in seen[user]]
        rest = rest[:k]
        assert union.fallback[user].tolist() == rest + [-1] * (k - len(rest))
