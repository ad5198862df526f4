"""Queries of users on the learnt vectors, and what users read."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.index.learnt import Learnt
from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.kernels.history.factorisation import FoldIn, Preferences, fold_in
from xlrec.kernels.history.profiles import Histories
from xlrec.recommenders.factors import summed_preferences


def asked(
    learnt: Learnt,
    history: Histories,
    indptr: NDArray[np.int64],
    nums: NDArray[np.int32],
    weights: NDArray[np.float64],
    half_life_items: float,
) -> FoldIn:
    """The queries of a block of users, and the weight of each history item in them.

    Args:
        learnt: Items.
        history: Of the users.
        indptr: (n_users + 1,) rows of each user's events in the next two.
        nums: item_num of each event.
        weights: Of each event.
        half_life_items: Of `recent`.
    """
    met = summed_preferences(owners_of(indptr), nums, weights, len(indptr) - 1)
    return fold_in(recent(met, history, half_life_items), learnt.gather(history.nums, history=True))


def recent(met: Preferences, history: Histories, half_life_items: float) -> Preferences:
    """The items of histories with their confidences, each half after so many later items: the newest tells most.

    Args:
        met: Of the same users, each of their items.
        history: What counts of it, latest first.
        half_life_items: Above 0; infinite: all tell alike.
    """
    owners, n_items = owners_of(history.indptr), int(max(met.nums.max(initial=0), history.nums.max(initial=0))) + 1
    cells, wanted = owners_of(met.indptr) * n_items + met.nums, owners * n_items + history.nums
    places = np.arange(len(owners)) - history.indptr[owners]
    strengths = met.strengths[np.searchsorted(cells, wanted)] * 0.5 ** (places / half_life_items)
    return Preferences(history.indptr, history.nums, strengths)


def reads_of(names: Any, weights: Any, languages: tuple[str, ...]) -> NDArray[np.float64]:
    """(n_users, n_languages) share of each language that the users read; others than these are left out.

    Args:
        names: Arrow lists of languages, a list per user; null is empty.
        weights: Arrow lists of shares, as long.
        languages: Those of the columns.
    """
    rows = owners_of(indptr_of(pc.fill_null(pc.list_value_length(names), 0).to_numpy(zero_copy_only=False)))
    codes = pc.index_in(pc.list_flatten(names), value_set=pa.array(languages, pa.string()))
    columns = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    known = columns >= 0
    found = np.zeros((len(names), len(languages)))
    np.add.at(found, (rows[known], columns[known]), pc.list_flatten(weights).to_numpy(zero_copy_only=False)[known])
    return found
