"""Places of wanted items under many weights, beside sorting by the obvious key."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.evaluation.places import LAST, LISTED, NEVER, wanted_places


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_places_are_those_of_a_sort_by_state_then_score_then_position(seed: int, n_items: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (2, 4, n_items)).astype(float)
    states = rng.choice([NEVER, LAST, LISTED], (4, n_items)).astype(np.uint8)
    wanted, weights = rng.integers(0, n_items, 4), rng.choice([0.0, 0.5, 2.0], (5, 2))
    states[np.arange(4), wanted] = rng.choice([LAST, LISTED], 4)
    found = wanted_places(scores, states, wanted, weights)
    for row, mix in enumerate(weights):
        for user in range(4):
            order = sorted(
                np.flatnonzero(states[user] != NEVER),
                key=lambda item, user=user, mix=mix: (-int(states[user, item]), -(mix @ scores[:, user, item]), item),
            )
            assert found[row, user] == order.index(wanted[user])


def test_nobody_has_no_places() -> None:
    none = wanted_places(np.zeros((3, 0, 4)), np.zeros((0, 4), np.uint8), np.zeros(0, np.int64), np.ones((2, 3)))
    assert none.shape == (2, 0)
