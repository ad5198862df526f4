"""Histories and profiles against plain Python."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.history.profiles import profile_vectors, weighted_histories

DAY = 86_400_000_000
Event = tuple[int, int, float]


def oracle(
    log: list[Event], max_history: int, half_life: float, items: float
) -> tuple[list[tuple[int, float]], list[int]]:
    """((item, weight) latest first, seen) of one user's (micros, item, weight)."""
    positive = [event for event in log if event[2] > 0]
    newest = max((micros for micros, _, _ in positive), default=0)
    latest = {num: max(m for m, n, _ in positive if n == num) for _, num, _ in positive}
    kept = sorted(latest, key=lambda num: (-latest[num], num))[:max_history]
    weight = {num: sum(w * 0.5 ** ((newest - m) / DAY / half_life) for m, n, w in positive if n == num) for num in kept}
    weight = {num: weight[num] * 0.5 ** (place / items) for place, num in enumerate(kept)}
    total = sum(weight.values())
    return [(num, weight[num] / total) for num in kept], sorted({num for _, num, _ in log})


def run(logs: list[list[Event]], max_history: int = 100, half_life: float = 30.0, items: float = 1e9) -> Any:
    events = [event for log in logs for event in log]
    return weighted_histories(
        np.cumsum([0] + [len(log) for log in logs]).astype(np.int64),
        np.array([event[0] for event in events], np.int64),
        np.array([event[1] for event in events], np.int32),
        np.array([event[2] for event in events], np.float64),
        max_history=max_history,
        half_life_days=half_life,
        half_life_items=items,
    )


event = st.tuples(
    st.integers(-3, 400).map(lambda days: days * DAY // 3), st.integers(0, 6), st.sampled_from([0.0, 0.5, 1.0, 3.0])
)


@given(
    logs=st.lists(st.lists(event, max_size=25), max_size=5),
    most=st.integers(1, 8),
    half=st.sampled_from([0.5, 30]),
    items=st.sampled_from([0.7, 5, 1e9]),
)
@settings(max_examples=200, deadline=None)
def test_histories_are_those_of_the_obvious_loop_in_any_order_of_events(
    logs: list[list[Event]], most: int, half: float, items: float
) -> None:
    found = run(logs, most, half, items)
    again = run([log[::-1] for log in logs], most, half, items)
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    for user, log in enumerate(logs):
        expected, seen = oracle(log, most, half, items)
        rows = slice(found.indptr[user], found.indptr[user + 1])
        assert found.nums[rows].tolist() == [num for num, _ in expected]
        np.testing.assert_allclose(found.weights[rows], [weight for _, weight in expected], rtol=1e-12)
        assert found.seen_nums[found.seen_indptr[user] : found.seen_indptr[user + 1]].tolist() == seen


def test_an_event_one_half_life_ago_weighs_half() -> None:
    found = run([[(30 * DAY, 4, 1.0), (0, 2, 1.0)]])
    assert found.nums.tolist() == [4, 2]
    np.testing.assert_allclose(found.weights, [2 / 3, 1 / 3])


def test_an_item_one_half_life_of_places_later_weighs_half_though_all_came_at_once() -> None:
    found = run([[(0, 4, 1.0), (0, 2, 1.0), (0, 9, 1.0)]], items=2.0)
    assert found.nums.tolist() == [2, 4, 9]
    np.testing.assert_allclose(found.weights[2] / found.weights[0], 0.5)


def test_profiles_are_unit_sums_and_the_same_for_every_cut_of_the_shards() -> None:
    rng = np.random.default_rng(0)
    items = rng.normal(size=(40, 13)).astype(np.float32)
    logs = [[(int(t) * DAY, int(n), 1.0) for t, n in rng.integers(0, 40, (size, 2))] for size in (5, 0, 1, 30)]
    found = run(logs)
    whole = profile_vectors(found, [(0, items)], 13)
    cut = profile_vectors(found, [(0, items[:7]), (7, items[7:])], 13)
    np.testing.assert_array_equal(whole, cut)
    for user in (0, 2, 3):
        rows = slice(found.indptr[user], found.indptr[user + 1])
        expected = found.weights[rows] @ items[found.nums[rows]].astype(float)
        np.testing.assert_allclose(whole[user], expected / np.linalg.norm(expected), rtol=1e-12)


def test_users_without_history_or_without_texts_have_no_profile() -> None:
    items = np.array([[1, 0], [0, 0]], np.float32)
    found = profile_vectors(run([[], [(0, 1, 1.0)], [(0, 0, 0.0)], [(0, 0, 1.0)]]), [(0, items)], 2)
    assert np.isnan(found[:3]).all()
    assert found[3].tolist() == [1, 0]
