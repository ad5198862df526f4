"""The greedy and the fill against a slow oracle, and what every list must keep."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xlrec.kernels.ranking.calibration import ALPHA, Mix
from xlrec.kernels.ranking.diversity import keep_distinct
from xlrec.kernels.ranking.selection import Candidates, Caps, fill_list, select_items


class World(NamedTuple):
    """A user's shortlist."""

    relevance: Any
    vectors: Any
    groups: Any
    target: Any
    categories: list[list[int]]

    def mix(self, weight: float) -> Mix:
        return Mix(self.target, weight)

    def candidates(self) -> Candidates:
        return Candidates(self.relevance, self.vectors, self.groups)

    def caps(self, most: int) -> Caps:
        sizes = [len(row) for row in self.categories]
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        codes = np.array([code for row in self.categories for code in row], dtype=np.int32)
        return Caps.of_items(np.arange(len(sizes), dtype=np.int32), indptr, codes, most)


def world(seed: int, n: int = 12) -> World:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    vectors[rng.random(n) < 0.1] = 0
    categories = [sorted(rng.permutation(5)[: rng.integers(0, 3)].tolist()) for _ in range(n)]
    relevance = np.sort(rng.integers(-2, 12, n) / 11)[::-1].copy()
    return World(relevance, vectors, rng.integers(0, 3, n), np.array([0.6, 0.4, 0.0]), categories)


def divergence(target: Any, counts: Any) -> float:
    """KL(p ‖ q̃) of Steck 2018, equations 6 and 7; an empty list has q = 0."""
    shares = (1 - ALPHA) * counts / max(int(counts.sum()), 1) + ALPHA * target
    return sum((float(p * np.log(p / q)) for p, q in zip(target, shares, strict=True) if p > 0), 0.0)


def cosine(a: Any, b: Any) -> float:
    a, b = a.astype(float), b.astype(float)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else 0.0


def full(one: World, taken: list[int], i: int, most: int) -> bool:
    return bool(most) and any(sum(c in one.categories[j] for j in taken) >= most for c in one.categories[i])


def gain(one: World, taken: list[int], i: int, diversity: float, weight: float) -> float:
    """The docstring's formula."""
    nearest = max((cosine(one.vectors[i], one.vectors[j]) for j in taken), default=0.0)
    counts = np.bincount(one.groups[[*taken, i]], minlength=len(one.target))
    mmr = (1 - diversity) * float(one.relevance[i]) - diversity * nearest
    return (1 - weight) * mmr - weight * divergence(one.target, counts)


SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.sampled_from([0.0, 0.1, 0.5, 1.0])


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.integers(0, 15), SHARES, SHARES, st.integers(0, 3))
def test_every_step_of_the_greedy_takes_the_largest_gain_that_the_caps_allow(
    seed: int, k: int, diversity: float, weight: float, most: int
) -> None:
    one = world(seed)
    taken = select_items(k, one.candidates(), diversity, one.mix(weight), one.caps(most)).tolist()
    assert len(set(taken)) == len(taken) <= k
    for step in range(min(k, 12)):
        allowed = [i for i in range(12) if i not in taken[:step] and not full(one, taken[:step], i, most)]
        if step == len(taken):
            assert not allowed
            break
        gains = {i: gain(one, taken[:step], i, diversity, weight) for i in allowed}
        assert gains[taken[step]] == pytest.approx(max(gains.values()), abs=1e-9)


def greedy(one: World, k: int, diversity: float, weight: float, told: list[int] | None = None) -> list[int]:
    """Every cosine exact, summed in order; ties to the first position. Where `told` takes what is as good to the last
    digits, that is taken.
    """
    wide = one.vectors.astype(float)
    taken: list[int] = []
    cosines = np.zeros((len(wide), len(wide)))
    for d in range(wide.shape[1]):
        cosines += wide[:, d, None] * wide[None, :, d]
    lengths = np.sqrt(np.diag(cosines))
    both = lengths[:, None] * lengths[None]
    cosines = np.where(both > 0, cosines / np.where(both > 0, both, 1), 0.0)
    for step in range(min(k, len(wide))):
        near = cosines[:, taken].max(axis=1) if taken else np.zeros(len(wide))
        gains = (1 - diversity) * one.relevance - diversity * near
        if weight:
            costs = [divergence(one.target, np.bincount([*one.groups[taken], g], minlength=3)) for g in range(3)]
            gains = (1 - weight) * gains - weight * np.array(costs)[one.groups]
        gains[taken] = -np.inf
        best = int(np.argmax(gains))
        as_good = told is not None and step < len(told) and gains[told[step]] >= gains[best] - 1e-14
        taken.append(told[step] if told is not None and as_good else best)
    return taken


@example(24159, 0.1, 0.5, 40, 1e-8)
@settings(max_examples=40, deadline=None)
@given(SEEDS, SHARES, st.sampled_from([0.0, 0.5]), st.sampled_from([2, 3, 40]), st.sampled_from([0.0, 1e-8, 1e-3]))
def test_bounds_of_cosines_choose_what_exact_ones_choose(
    seed: int, diversity: float, weight: float, dim: int, jitter: float
) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(30, dim))[rng.integers(0, 30, 170)]  # many near-ties, closer than float32 can tell
    vectors = kinds + jitter * rng.normal(size=kinds.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    relevance = np.sort(rng.integers(0, 4, 170) / 3)[::-1].copy()
    one = World(relevance, vectors, rng.integers(0, 3, 170), np.array([0.6, 0.4, 0.0]), [])
    taken = select_items(25, one.candidates(), diversity, one.mix(weight), Caps.unlimited())
    assert taken.tolist() == greedy(one, 25, diversity, weight, taken.tolist())


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.3]), st.sampled_from([0.2, 0.9, 0.97, 1.0]))
def test_items_that_may_not_be_taken_are_as_if_they_were_not_there(
    seed: int, diversity: float, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(200, 6)) + 2 * rng.normal(size=(9, 6))[rng.integers(0, 9, 200)]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    vectors[rng.random(200) < 0.2] = vectors[0]
    relevance, groups = np.sort(rng.random(200))[::-1].copy(), rng.integers(0, 3, 200)
    mix, kept = Mix(np.array([0.6, 0.4, 0.0]), 0.5), keep_distinct(vectors, threshold)
    few = select_items(60, Candidates(relevance[kept], vectors[kept], groups[kept]), diversity, mix, Caps.unlimited())
    whole = select_items(60, Candidates(relevance, vectors, groups), diversity, mix, Caps.unlimited(), kept)
    assert whole.tolist() == np.flatnonzero(kept)[few].tolist()


@settings(deadline=None)
@given(SEEDS, st.integers(0, 15))
def test_without_diversity_mix_and_caps_the_list_is_the_order_by_score(seed: int, k: int) -> None:
    one = world(seed)
    taken = select_items(k, one.candidates(), 0.0, one.mix(0.0), Caps.unlimited())
    assert taken.tolist() == list(range(min(k, 12)))


def test_with_diversity_alone_the_second_item_is_the_farthest_from_the_first() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [-1, 0]], dtype=np.float32)
    candidates = Candidates(np.array([1, 0.9, 0.8, 0.1]), vectors, np.zeros(4, dtype=np.int64))
    assert select_items(3, candidates, 1.0, Mix(np.zeros(1), 0.0), Caps.unlimited()).tolist() == [0, 3, 2]


@settings(deadline=None)
@given(SEEDS)
def test_calibration_alone_never_leaves_a_list_further_from_the_readers_languages(seed: int) -> None:
    one = world(seed, n=30)

    def distance(weight: float) -> float:
        taken = select_items(10, one.candidates(), 0.0, one.mix(weight), Caps.unlimited())
        return divergence(one.target, np.bincount(one.groups[taken], minlength=3))

    assert distance(1.0) <= distance(0.0) + 0.01  # a greedy: the smoothing may cost it a hair


def test_a_planted_mix_is_reached_where_the_best_scores_are_all_in_one_language() -> None:
    groups = np.repeat([2, 0, 1], 20)
    candidates = Candidates(np.linspace(1, 0.5, 60), np.zeros((60, 2), dtype=np.float32), groups)
    taken = select_items(10, candidates, 0.0, Mix(np.array([0.7, 0.3, 0.0]), 0.9), Caps.unlimited())
    assert np.bincount(groups[taken], minlength=3).tolist() == [7, 3, 0]
    assert sorted(taken.tolist()) == [*range(20, 27), *range(40, 43)]


@settings(deadline=None)
@given(SEEDS, st.integers(0, 14), st.integers(0, 3), st.integers(0, 12), SHARES)
def test_a_filled_list_has_exactly_the_rows_wanted_in_the_order_of_the_tiers(
    seed: int, k: int, most: int, n_candidates: int, share: float
) -> None:
    one = world(seed)
    copies = np.random.default_rng(seed).random(12) < share
    taken = np.flatnonzero(~copies)[: min(k, 2)]
    taken = taken[taken < n_candidates]
    filled = fill_list(k, taken, n_candidates, copies, one.caps(most)).tolist()
    assert len(filled) == len(set(filled)) == min(k, 12)
    wanted = taken.tolist()
    for tier in range(4):
        for i in range(12):
            fits = tier > 0 or not full(one, wanted, i, most)
            candidate = tier > 1 or i < n_candidates
            if i not in wanted and len(wanted) < k and fits and candidate and (tier == 3 or not copies[i]):
                wanted.append(i)
    assert filled == wanted


def test_caps_of_some_items_come_from_the_categories_of_all() -> None:
    indptr, codes = np.array([0, 2, 2, 3, 5]), np.array([8, 9, 7, 9, 4], dtype=np.int32)
    caps = Caps.of_items(np.array([3, 1, 0], dtype=np.int32), indptr, codes, 1)
    assert caps.indptr.tolist() == [0, 2, 2, 4]
    assert caps.codes.tolist() == [2, 0, 1, 2]
    assert Caps.of_items(np.array([1], dtype=np.int32), indptr, codes, 1).codes.tolist() == []
