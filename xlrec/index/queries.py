"""Queries of users on the learnt vectors, and the languages that users read."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.index.learnt import LearntVectors
from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.history.factorisation import FoldIn, Preferences, fold_in
from xlrec.kernels.history.profiles import Histories
from xlrec.recommenders.factors import summed_preferences


def block_queries(
    learnt: LearntVectors,
    history: Histories,
    indptr: NDArray[np.int64],
    nums: NDArray[np.int32],
    weights: NDArray[np.float64],
    half_life_items: float,
) -> FoldIn:
    """Queries of a block of users, and the weight of each history item in them.

    Events are (n_events,) int32 item_nums and (n_events,) float64 weights, bounded by (n_users + 1,) int64 `indptr`.
    """
    met = summed_preferences(owners_of(indptr), nums, weights, len(indptr) - 1)
    return fold_in(recent_preferences(met, history, half_life_items), learnt.gather(history.nums, history=True))


def recent_preferences(met: Preferences, history: Histories, half_life_items: float) -> Preferences:
    """Preferences for the items of histories, latest first, whose confidence halves after so many later items.

    `met` are those of the same users for all their items; an infinite half-life counts all items alike.
    """
    owners, n_items = owners_of(history.indptr), int(max(met.nums.max(initial=0), history.nums.max(initial=0))) + 1
    cells, wanted = owners_of(met.indptr) * n_items + met.nums, owners * n_items + history.nums
    places = np.arange(len(owners)) - history.indptr[owners]
    strengths = met.strengths[np.searchsorted(cells, wanted)] * 0.5 ** (places / half_life_items)
    return Preferences(history.indptr, history.nums, strengths)


def language_shares(names: Any, weights: Any, languages: tuple[str, ...]) -> NDArray[np.float64]:
    """(n_users, n_languages) float64 share of each language that the users read; other languages are left out.

    Names and weights are Arrow lists, one per user; null is empty.
    """
    rows = owners_of(indptr_of(pc.fill_null(pc.list_value_length(names), 0).to_numpy(zero_copy_only=False)))
    codes = pc.index_in(pc.list_flatten(names), value_set=pa.array(languages, pa.string()))
    columns = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    known = columns >= 0
    shares = np.zeros((len(names), len(languages)))
    np.add.at(shares, (rows[known], columns[known]), pc.list_flatten(weights).to_numpy(zero_copy_only=False)[known])
    return shares
