"""What scores are measured by: top ten of every user of a truth, and NDCG, recall and cross-lingual recall of them."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import PopularityConfig, RetrieveConfig
from xlrec.kernels.base.csr import owners_of
from xlrec.kernels.evaluation import metrics
from xlrec.kernels.history.profiles import profiles
from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender.logs import Items, Logs
from xlrec.training.recommender.scores import Scores, Truth, history_of, masked, popularity_at, scorer, served, top

K: Final = 10
METRICS: Final = (f"ndcg@{K}", f"recall@{K}", f"cross_lingual_recall@{K}")


def learnt(
    model: FactorModel, item_ids: "pa.Array[Any]", items: Items, read: Logs, config: RetrieveConfig
) -> Scores:  # fmt: skip
    """A learnt model's scores.

    Args:
        model: Trained.
        item_ids: Of all items.
        items: What is for sale.
        read: Histories that are served.
        config: How much of them counts.
    """
    return scorer(served(model, item_ids, items), items, read, config)


def popular(items: Items, told: Logs, read: Logs, moment: float, config: PopularityConfig) -> Scores:
    """Popularity in the user's market, from the events that are told."""
    shares = popularity_at(told, len(items.eligible), len(items.texts), moment, config)
    return lambda users: masked(shares[read.markets[users]], items, read, users)


def text_mean(items: Items, read: Logs, config: RetrieveConfig) -> Scores:
    """Cosine with the decayed mean of the history's text vectors; nothing is learnt."""

    def scores(users: NDArray[np.int64]) -> NDArray[np.float64]:
        found = profiles(history_of(read, users, config), [(0, items.texts)], items.texts.shape[1])
        found = np.where(np.isfinite(found), found, 0.0)  # without history: no text is nearer than another
        return masked(found @ items.texts.T.astype(np.float64), items, read, users)

    return scores


def per_user(scores: Scores, truth: Truth, items: Items, read: Logs) -> NDArray[np.float64]:
    """(n_users, 3) METRICS of each user of the truth; NaN where a user has nothing cross-lingual to find.

    Args:
        scores: (n, n_items) of users; -inf for what is not listed.
        truth: Who, and what they chose.
        items: Their languages.
        read: Histories; what has none of their languages is cross-lingual.
    """
    parts = [np.zeros((0, len(METRICS)))]
    for block in truth.blocks(len(items.texts)):
        nums, lengths = top(scores(block.users), K)
        sizes, owner = np.diff(block.indptr), owners_of(block.indptr)
        hits = metrics.find_hits(nums, lengths, block.nums, sizes)
        foreign = _foreign(block, items, read)
        n_foreign = np.bincount(owner[foreign], minlength=len(sizes))
        found = metrics.find_hits(nums, lengths, block.nums[foreign], n_foreign)
        columns = metrics.ndcg(hits, sizes, K), metrics.recall(hits, sizes, K), metrics.recall(found, n_foreign, K)
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def depth(scores: Scores, truth: Truth, items: Items) -> NDArray[np.float64]:
    """(n_users,) NDCG over the whole order: what ten places are too few to tell where there are few users.

    Each relevant item gains 1 / log2(rank + 1), over what ranks 1, 2, … would gain; ties by item_num.
    """
    found = []
    for block in truth.blocks(len(items.texts)):
        for row, each in enumerate(scores(block.users)):
            relevant = block.nums[block.indptr[row] : block.indptr[row + 1]]
            own = each[relevant][:, None]
            ranks = (each > own).sum(axis=1) + ((each == own) & (np.arange(len(each)) < relevant[:, None])).sum(axis=1)
            gains = np.where(np.isfinite(own[:, 0]), 1 / np.log2(ranks + 2), 0.0)
            found.append(gains.sum() / (1 / np.log2(np.arange(2, len(relevant) + 2))).sum())
    return np.array(found, dtype=np.float64)


def _foreign(truth: Truth, items: Items, read: Logs) -> NDArray[np.bool_]:
    """(len(truth.nums),) has languages, and none of those of the user's history (which has some)."""
    some = read.visits.of(truth.users)
    heard = np.zeros((len(truth.users), items.languages.shape[1]), dtype=np.float32)
    np.maximum.at(heard, some.owners, items.languages[some.nums])
    rows, spoken = owners_of(truth.indptr), items.languages[truth.nums]
    common = (spoken * heard[rows]).any(axis=1)
    return np.asarray(spoken.any(axis=1) & np.asarray(heard.any(axis=1))[rows] & ~common)
