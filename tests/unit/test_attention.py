"""Visits, attention and queries against loops that anyone can read."""

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.attention import (
    N_AGES,
    N_LENGTHS,
    N_PLACES,
    Attention,
    age_buckets,
    attend,
    place_buckets,
    queries,
    visits,
)
from xlrec.kernels.profiles import histories

HOUR = 3_600_000_000
EVENTS = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.sampled_from([0.0, 1.0, 3.0])), max_size=12),
    max_size=4,
)
RNG = np.random.default_rng(5)
TABLES = Attention(RNG.normal(size=N_PLACES), RNG.normal(size=N_AGES), 0.7, RNG.normal(size=N_LENGTHS), 2.0, 4)
GATES = RNG.normal(size=6)


def arrays_of(users: list[list[tuple[int, int, float]]]) -> Any:
    flat = [event for user in users for event in user]
    indptr = np.concatenate([[0], np.cumsum([len(user) for user in users])]).astype(np.int64)
    return (
        indptr,
        np.array([hour * HOUR for hour, _, _ in flat], dtype=np.int64),
        np.array([num for _, num, _ in flat], dtype=np.int32),
        np.array([weight for _, _, weight in flat]),
    )


def visits_of(user: list[tuple[int, int, float]]) -> list[list[float]]:
    """[hour, item, weight] of each run of one item."""
    found: list[list[float]] = []
    for hour, num, weight in sorted((e for e in user if e[2] > 0), key=lambda e: (e[0], e[1], e[2])):
        if found and found[-1][1] == num:
            found[-1][2] += weight
        else:
            found.append([hour, num, weight])
    return found


@settings(deadline=None)
@given(EVENTS)
def test_visits_are_runs_of_one_item_oldest_first(users: Any) -> None:
    found = visits(*arrays_of(users))
    for row, user in enumerate(users):
        mine = slice(found.indptr[row], found.indptr[row + 1])
        got = [
            [micros / HOUR, num, weight]
            for micros, num, weight in zip(found.micros[mine], found.nums[mine], found.weights[mine], strict=True)
        ]
        assert got == visits_of(user)


@settings(deadline=None)
@given(EVENTS)
def test_attention_is_a_softmax_over_the_newest_visits_summed_by_item(users: Any) -> None:
    arrays = arrays_of(users)
    history = histories(*arrays, max_history=10, half_life_days=1.0, half_life_items=1.0)
    found = attend(visits(*arrays), history, GATES, TABLES)
    places = place_buckets(TABLES.max_history)
    for row, user in enumerate(users):
        newest = visits_of(user)[::-1][: TABLES.max_history]
        logits = [
            TABLES.places[places[place]]
            + TABLES.ages[age_buckets(np.array([(newest[0][0] - hour) * HOUR]))[0]]
            + TABLES.weight * math.log(weight)
            + GATES[int(num)]
            for place, (hour, num, weight) in enumerate(newest)
        ]
        total = sum(math.exp(logit) for logit in logits)
        for at in range(history.indptr[row], history.indptr[row + 1]):
            shares = [
                math.exp(one) / total for one, visit in zip(logits, newest, strict=True) if visit[1] == history.nums[at]
            ]
            np.testing.assert_allclose(found[at], sum(shares), atol=1e-12)


def test_a_query_is_the_weighted_sum_and_nobody_without_history_asks_for_anything() -> None:
    arrays = arrays_of([[(1, 2, 1.0), (3, 4, 1.0)], []])
    history = histories(*arrays, max_history=5, half_life_days=1.0, half_life_items=1.0)
    vectors = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    found = queries(history, np.array([0.25, 0.75]), vectors, np.array([2.0, 0.0]))
    np.testing.assert_allclose(found, [[0.5, 3.0], [0.0, 0.0]])


def test_buckets_of_places_never_fall_and_end_at_the_last() -> None:
    found = place_buckets(500)
    assert found[:9].tolist() == list(range(9))
    assert (np.diff(found) >= 0).all()
    assert found[-1] == N_PLACES - 1
