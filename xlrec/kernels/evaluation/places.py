"""Places of one item of each user among all others, under many weights of several scores at once."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: States of an item for a user: never listed, listed after all of the last state, listed.
NEVER, LAST, LISTED = range(3)


def wanted_places(
    scores: NDArray[np.float64], states: NDArray[np.uint8], wanted: NDArray[np.integer[Any]],
    weights: NDArray[np.float64],
) -> NDArray[np.int64]:  # fmt: skip
    """(n_weights, n_users) int64 items that come before each user's wanted one by Σ_s weight_s · score_s.

    Ties go by position.

    Args:
        scores: (n_sources, n_users, n_items) float64, finite.
        states: (n_users, n_items) uint8 `NEVER`, `LAST` or `LISTED`.
        wanted: (n_users,) integer positions, whose state is not `NEVER`.
        weights: (n_weights, n_sources) float64.
    """
    found = np.zeros((len(weights), len(wanted)), dtype=np.int64)
    _places(scores, states, wanted.astype(np.int64), weights, found)
    return found


@njit(cache=True)
def _places(scores, states, wanted, weights, found):  # type: ignore[no-untyped-def]
    n_sources, n_users, n_items = scores.shape
    for user in range(n_users):
        bar, state = wanted[user], states[user, wanted[user]]
        for row in range(len(weights)):
            least, before = 0.0, 0
            for source in range(n_sources):
                least += weights[row, source] * scores[source, user, bar]
            for item in range(n_items):
                if states[user, item] != state:
                    before += states[user, item] > state
                    continue
                total = 0.0
                for source in range(n_sources):
                    total += weights[row, source] * scores[source, user, item]
                before += total > least or (total == least and item < bar)
            found[row, user] = before
