"""Item neighbours of all markets in one process, bit for bit those that the night's tasks find."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # has no types of its own

from xlrec.config.models import CovisitationConfig
from xlrec.kernels.base.csr import indptr_of, run_starts
from xlrec.kernels.history import covisits
from xlrec.kernels.history.item_weights import Counts, item_weights
from xlrec.recommenders.covisitation import mixture_of, rules_of
from xlrec.training.recommender.logs import Logs

#: Items of a thread's turn.
_ITEMS: Final = 1024


def item_neighbours(logs: Logs, sold: NDArray[np.bool_], config: CovisitationConfig) -> list[Any]:
    """(n_items, n_items) sparse float64 scores of each market, a row per history item, as `recommenders.covisitation`.

    Positive events count; `sold` is (n_markets, n_items) bool.
    """
    n_markets, n_items = sold.shape
    choices, blocks = newest_choices(logs, config.max_history), []
    if len(choices.nums):
        pairs = covisits.pairs_of_block(choices, 0, 1, n_markets, rules_of(config))
        counts, wanted, mixture = Counts.join_blocks([pairs]), np.ascontiguousarray(sold.T), mixture_of(config)
        known = int(choices.nums.max()) + 1
        parts = [np.arange(first, min(first + _ITEMS, known), dtype=np.int32) for first in range(0, known, _ITEMS)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            blocks = [*pool.map(lambda nums: item_weights(counts, nums, wanted[nums], mixture), parts)]
    empty = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))
    market, history, item, score = (np.concatenate(column) for column in zip(empty, *blocks, strict=True))
    shape = (n_items, n_items)
    masks = (market == row for row in range(n_markets))
    return [csr_matrix((score[mask], (history[mask], item[mask])), shape) for mask in masks]


def newest_choices(logs: Logs, max_history: int) -> covisits.ChoiceLogs:
    """Each user's newest `max_history` items, each at its newest event, oldest first; hers is the last's market."""
    users, nums, micros, markets = logs.event_users, logs.event_nums, logs.event_micros, logs.event_markets
    order = np.lexsort((markets, micros, nums, users))
    kept = order[run_starts(users[order][::-1], nums[order][::-1])[::-1]]  # the last of each user and item
    kept = kept[np.lexsort((nums[kept], micros[kept], users[kept]))]
    ends = np.searchsorted(users[kept], np.arange(logs.n_users), side="right")
    kept = kept[ends[users[kept]] - np.arange(len(kept)) <= max_history]
    indptr = indptr_of(np.bincount(users[kept], minlength=logs.n_users))
    some, own = np.diff(indptr) > 0, np.zeros(logs.n_users, dtype=np.int32)
    own[some] = markets[kept[indptr[1:][some] - 1]]
    return covisits.ChoiceLogs(indptr, nums[kept], micros[kept], own)
