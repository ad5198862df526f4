"""Quality of scores on held-out choices: NDCG, recall and cross-lingual recall of each user's ten best items."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.config.models import PopularityConfig, RetrieveConfig
from xlrec.kernels.base.csr import owners_of
from xlrec.kernels.evaluation import metrics
from xlrec.kernels.history.profiles import profile_vectors
from xlrec.recommenders.factors import FactorModel
from xlrec.training.cards import render_card
from xlrec.training.recommender.logs import Items, Logs
from xlrec.training.recommender.scores import Scores, Truth, mask_scores, popularity_at, top_items, user_histories

K: Final = 10
METRICS: Final = (f"ndcg@{K}", f"recall@{K}", f"cross_lingual_recall@{K}")


def recommender_card(model: FactorModel) -> str:
    """Markdown text of a learnt model's card: its data, its constants, the gain of a transfer if it comes from one."""
    return render_card("recommender", model=model, facts=model.facts, metric=METRICS[0])


def popularity_scores(items: Items, events: Logs, logs: Logs, moment: float, config: PopularityConfig) -> Scores:
    """Scores by popularity in the user's market, from `events` before the moment in microseconds."""
    shares = popularity_at(events, len(items.eligible), len(items.texts), moment, config)
    return lambda users: mask_scores(shares[logs.markets[users]], items, logs, users)


def text_scores(items: Items, logs: Logs, config: RetrieveConfig) -> Scores:
    """Scores by the cosine with the decayed mean of the history's text vectors; nothing is learnt."""

    def scores(users: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n_users, n_items) float64 masked cosines of (n_users,) int64 rows."""
        vectors = profile_vectors(user_histories(logs, users, config), [(0, items.texts)], items.texts.shape[1])
        vectors = np.where(np.isfinite(vectors), vectors, 0.0)  # without history no text is nearer than another
        return mask_scores(vectors @ items.texts.T.astype(np.float64), items, logs, users)

    return scores


def user_metrics(scores: Scores, truth: Truth, items: Items, logs: Logs) -> NDArray[np.float64]:
    """(n_users, 3) float64 METRICS of each user of the truth; NaN where a user has nothing cross-lingual to find.

    Scores are -inf for items that are not listed; a choice in no language of the user's history is cross-lingual.
    """
    parts = [np.zeros((0, len(METRICS)))]
    for block in truth.blocks(len(items.texts)):
        nums, lengths = top_items(scores(block.users), K)
        sizes, owners = np.diff(block.indptr), owners_of(block.indptr)
        hits = metrics.find_hits(nums, lengths, block.nums, sizes)
        foreign = _cross_lingual(block, items, logs)
        n_foreign = np.bincount(owners[foreign], minlength=len(sizes))
        foreign_hits = metrics.find_hits(nums, lengths, block.nums[foreign], n_foreign)
        columns = (
            metrics.ndcg(hits, sizes, K), metrics.recall(hits, sizes, K), metrics.recall(foreign_hits, n_foreign, K),
        )  # fmt: skip
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def whole_order_ndcg(scores: Scores, truth: Truth, items: Items) -> NDArray[np.float64]:
    """(n_users,) float64 NDCG over all ranks, which varies less than NDCG@10 where users are few.

    Each relevant item gains 1 / log2(rank + 1), over what ranks 1, 2, … would gain; ties by item_num.
    """
    ndcg = []
    for block in truth.blocks(len(items.texts)):
        for row, own in enumerate(scores(block.users)):
            relevant = block.nums[block.indptr[row] : block.indptr[row + 1]]
            values = own[relevant][:, None]
            ties = ((own == values) & (np.arange(len(own)) < relevant[:, None])).sum(axis=1)
            ranks = (own > values).sum(axis=1) + ties
            gains = np.where(np.isfinite(values[:, 0]), 1 / np.log2(ranks + 2), 0.0)
            ndcg.append(gains.sum() / (1 / np.log2(np.arange(2, len(relevant) + 2))).sum())
    return np.array(ndcg, dtype=np.float64)


def _cross_lingual(truth: Truth, items: Items, logs: Logs) -> NDArray[np.bool_]:
    """(len(truth.nums),) bool: the item has languages, and none of those of the user's history (which has some)."""
    visits = logs.visits.of_users(truth.users)
    known = np.zeros((len(truth.users), items.languages.shape[1]), dtype=np.float32)
    np.maximum.at(known, visits.owners, items.languages[visits.nums])
    rows, own = owners_of(truth.indptr), items.languages[truth.nums]
    common = (own * known[rows]).any(axis=1)
    return np.asarray(own.any(axis=1) & np.asarray(known.any(axis=1))[rows] & ~common)
