"""Queries of users on the learnt vectors: the history's part, the market's and the languages'."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.index_learnt import Learnt
from xlrec.kernels.attention import Visits, attend, queries
from xlrec.kernels.csr import indptr_of, owners_of
from xlrec.kernels.profiles import Histories


class Asked(NamedTuple):
    """What is asked for a block of users."""

    queries: NDArray[np.float64]
    """(n_users, learnt.dim); finite for everybody: who has no history is asked by market and languages alone."""
    attention: NDArray[np.float64]
    """(n_history,) weight of each history item in the query; a user's sum to 1."""
    general: NDArray[np.float64]
    """(n_users, learnt.dim): the queries without the history's part."""


def asked(
    learnt: Learnt, log: Visits, history: Histories, markets: NDArray[np.int32], reads: NDArray[np.float64]
) -> Asked:
    """The queries of a block of users.

    Args:
        learnt: Items.
        log: Visits of the users.
        history: Their histories, of the same events.
        markets: (n_users,) row of each user's market in the index.
        reads: (n_users, n_languages) share of each of the index's languages.
    """
    model = learnt.model
    weights = attend(log, history, learnt.gates, model.attention)
    vectors = learnt.gather(history.nums.astype(np.int64), history=True)
    own = queries(history, weights, vectors, model.scales(np.diff(log.indptr)))
    general = np.zeros((len(markets), learnt.dim))
    general[np.arange(len(markets)), model.dim + markets] = 1.0
    general[:, model.dim + len(learnt.index.markets) :] = model.scalar("language") * reads
    whole = general.copy()
    whole[:, : model.dim] = own
    return Asked(whole, weights, general)


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
