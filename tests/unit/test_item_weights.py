"""Item-to-item weights of markets: EASE where every item predicts, plain ridge regressions and loops elsewhere."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from worlds.pair_scores import oracle

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.history.covisits import ChoiceLogs, Rules, pairs_of_block
from xlrec.kernels.history.item_weights import Counts, Mixture, Weights, item_weights

Array = np.ndarray[Any, Any]
DAY = 86_400_000_000
RULES = Rules(window=3, max_gap_days=20.0, gap_half_life_days=5.0, distance_decay=1.0)
N_MARKETS = 3


def logs_of(seed: int, n_users: int, n_items: int, share: float) -> ChoiceLogs:
    """Users in a random order; market 2 has none."""
    rng = np.random.default_rng(seed)
    each = [rng.permutation(np.flatnonzero(rng.random(n_items) < share)) for _ in range(n_users)]
    days = [np.sort(rng.integers(0, 60, len(one))) for one in each]
    nums, micros = np.concatenate(each).astype(np.int32), np.concatenate(days).astype(np.int64) * DAY
    return ChoiceLogs(
        indptr_of(np.array([len(one) for one in each])), nums, micros, rng.integers(0, 2, n_users, np.int32)
    )


def chosen_users(logs: ChoiceLogs, users: list[int]) -> ChoiceLogs:
    runs = [range(logs.indptr[user], logs.indptr[user + 1]) for user in users]
    rows = np.array([row for run in runs for row in run], dtype=np.int64)
    sizes = np.array([len(run) for run in runs], dtype=np.int64)
    return ChoiceLogs(indptr_of(sizes), logs.nums[rows], logs.micros[rows], logs.markets[users])


def counted(logs: ChoiceLogs, n_blocks: int, pairs_at_once: int = 1 << 20) -> Counts:
    """As Spark does it: each block sees only the users who chose one of its items."""
    blocks = []
    for block in range(n_blocks):
        runs = [logs.nums[logs.indptr[user] : logs.indptr[user + 1]] for user in range(len(logs.markets))]
        mine = [user for user, run in enumerate(runs) if (run % n_blocks == block).any()]
        blocks.append(pairs_of_block(chosen_users(logs, mine), block, n_blocks, N_MARKETS, RULES, pairs_at_once))
    return Counts.join_blocks(blocks)


def dense(found: Weights, market: int, n_items: int) -> Array:
    weights, rows = np.zeros((n_items, n_items)), found.market == market
    weights[found.history[rows], found.item[rows]] = found.score[rows]
    return weights


@given(
    seed=st.integers(0, 2**32 - 1), share=st.floats(0.02, 0.6), n_predictors=st.integers(1, 12),
    others=st.sampled_from([0.0, 0.1, 1.0]), regression=st.booleans(), n_blocks=st.integers(1, 4),
)  # fmt: skip
@example(seed=1, share=0.1171875, n_predictors=1, others=0.1, regression=False, n_blocks=1)  # chosen alone in a market
@settings(max_examples=60, deadline=None)
def test_weights_are_those_of_regressions_and_loops_over_weighed_users(
    seed: int, share: float, n_predictors: int, others: float, regression: bool, n_blocks: int
) -> None:
    logs, n_items = logs_of(seed, 15, 12, share), 12
    mixture = Mixture(others, regression, 2.0, n_predictors, 0.3, 0.75)
    sold = np.ones((n_items, N_MARKETS), dtype=np.bool_)
    found = item_weights(counted(logs, n_blocks), np.arange(n_items, dtype=np.int32), sold, mixture)
    for market in range(N_MARKETS):
        got = dense(found, market, n_items)
        first, last = (oracle(logs, n_items, market, mixture, RULES, tie) for tie in (1, -1))
        # Of items that are as near but for rounding, either may be the predictor.
        right = np.isclose(got, first, atol=1e-8).all(axis=0) | np.isclose(got, last, atol=1e-8).all(axis=0)
        assert right.all(), (got, first)


def ease(gram: Array, penalty: float) -> Array:
    """Steck 2019, eq. 8."""
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights)


@pytest.mark.parametrize("penalty", [0.5, 10.0])
def test_with_every_item_as_predictor_it_is_ease_without_what_is_negative(penalty: float) -> None:
    logs = logs_of(1, 60, 9, 0.5)
    chosen = np.zeros((60, 9))
    chosen[np.repeat(np.arange(60), np.diff(logs.indptr)), logs.nums] = 1
    gram = chosen.T @ chosen
    assert (gram > 0).all()  # else an item that is never chosen with another could not predict it
    mixture = Mixture(1.0, True, penalty, 9, 0.0, 0.75)
    found = item_weights(counted(logs, 2), np.arange(9, dtype=np.int32), np.ones((9, N_MARKETS), np.bool_), mixture)
    for market in range(N_MARKETS):
        np.testing.assert_allclose(dense(found, market, 9), np.maximum(0, ease(gram, penalty)), atol=1e-9)


def test_the_same_bits_whatever_the_blocks_the_order_of_users_and_the_items_asked_for() -> None:
    logs, mixture = logs_of(5, 80, 30, 0.2), Mixture(0.1, True, 10.0, 6, 0.1, 0.75)
    items, sold = np.arange(30, dtype=np.int32), np.random.default_rng(0).random((30, N_MARKETS)) < 0.6
    once = item_weights(counted(logs, 1), items, sold, mixture)
    backwards = chosen_users(logs, list(range(80))[::-1])
    for other in (counted(backwards, 1), counted(backwards, 4), counted(logs, 7, pairs_at_once=5)):
        for one, two in zip(once, item_weights(other, items, sold, mixture), strict=True):
            np.testing.assert_array_equal(one, two)
    part = item_weights(counted(logs, 3), items[7:9], sold[7:9], mixture)
    rows = (once.item == 7) | (once.item == 8)
    np.testing.assert_array_equal(part.score, once.score[rows])


def test_only_what_is_sold_in_a_market_has_weights_there() -> None:
    logs, sold = logs_of(2, 40, 8, 0.4), np.zeros((8, N_MARKETS), dtype=np.bool_)
    sold[3, 1] = sold[5] = True
    items = np.arange(8, dtype=np.int32)
    found = item_weights(counted(logs, 2), items, sold, Mixture(0.1, True, 10.0, 6, 0.1, 0.75))
    assert {(int(item), int(market)) for item, market in zip(found.item, found.market, strict=True)} == {
        (3, 1), (5, 0), (5, 1), (5, 2),
    }  # fmt: skip


def test_no_logs_make_no_weights() -> None:
    logs = ChoiceLogs(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int32))
    sold = np.ones((4, N_MARKETS), dtype=np.bool_)
    found = item_weights(counted(logs, 2), np.arange(4, dtype=np.int32), sold, Mixture(0.1, True, 1.0, 5, 0.1, 0.75))
    assert [len(one) for one in found] == [0, 0, 0, 0]
