"""What arms are measured by: top ten of every user of a truth, and NDCG, recall and cross-lingual recall of them."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.config import PopularityConfig, RetrieveConfig
from xlrec.kernels import metrics
from xlrec.kernels.profiles import histories, profiles
from xlrec.recommenders.hybrid import HybridModel
from xlrec.training.recommender.examples import popularity_at
from xlrec.training.recommender.logs import Items, Logs
from xlrec.training.recommender.scoring import Truth, masked, scores_of, served, visits_of

Scores = Callable[[NDArray[np.int64]], NDArray[np.float64]]
K: Final = 10
METRICS: Final = (f"ndcg@{K}", f"recall@{K}", f"cross_lingual_recall@{K}")
#: Scores of a block of users against all items, at most.
_MOST_SCORES: Final = 20_000_000


def learnt(
    model: HybridModel, rows: NDArray[np.int64], items: Items, told: Logs, read: Logs, moment: float,
    config: PopularityConfig,
) -> Scores:  # fmt: skip
    """A learnt model's scores.

    Args:
        model: Trained.
        rows: (n_items,) row of each item in its residuals, -1 where it was not taught.
        items: What is for sale, as `told` tells it.
        told: Logs whose events make popularity.
        read: Histories that are served.
        moment: Of popularity and freshness.
        config: Of popularity.
    """
    what = served(model, rows, items, told, moment, config)
    return lambda users: scores_of(model, what, items, read, users)


def popular(items: Items, told: Logs, read: Logs, moment: float, config: PopularityConfig) -> Scores:
    """Popularity in the user's market, from the events that are told."""
    shares = popularity_at(told, len(items.eligible), len(items.texts), moment, config)
    return lambda users: masked(shares[read.markets[users]], items, read, users)


def text_mean(items: Items, read: Logs, config: RetrieveConfig) -> Scores:
    """Cosine with the decayed mean of the history's text vectors; nothing is learnt."""

    def scores(users: NDArray[np.int64]) -> NDArray[np.float64]:
        some = visits_of(read.visits, users)
        history = histories(
            some.indptr, some.micros, some.nums, some.weights, max_history=config.max_history,
            half_life_days=config.half_life_days, half_life_items=config.half_life_items,
        )  # fmt: skip
        found = profiles(history, [(0, items.texts)], items.texts.shape[1])
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
    block = max(1, _MOST_SCORES // max(1, len(items.texts)))
    parts = [np.zeros((0, len(METRICS)))]
    for at in range(0, len(truth.users), block):
        users = truth.users[at : at + block]
        nums, lengths = top(scores(users), K)
        sizes = np.diff(truth.indptr)[at : at + block]
        relevant = truth.nums[truth.indptr[at] : truth.indptr[at + len(users)]]
        hits = metrics.find_hits(nums, lengths, relevant, sizes)
        foreign = _foreign(relevant, np.repeat(np.arange(len(users)), sizes), users, items, read)
        n_foreign = np.bincount(np.repeat(np.arange(len(users)), sizes)[foreign], minlength=len(users))
        found = metrics.find_hits(nums, lengths, relevant[foreign], n_foreign)
        columns = metrics.ndcg(hits, sizes, K), metrics.recall(hits, sizes, K), metrics.recall(found, n_foreign, K)
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def depth(scores: Scores, truth: Truth, items: Items) -> NDArray[np.float64]:
    """(n_users,) NDCG over the whole order: what ten places are too few to tell where there are few users.

    Each relevant item gains 1 / log2(rank + 1), over what ranks 1, 2, … would gain; ties by item_num.
    """
    block = max(1, _MOST_SCORES // max(1, len(items.texts)))
    found = np.zeros(len(truth.users))
    for at in range(0, len(truth.users), block):
        rows = scores(truth.users[at : at + block])
        for row, each in enumerate(rows):
            relevant = truth.nums[truth.indptr[at + row] : truth.indptr[at + row + 1]]
            own = each[relevant][:, None]
            ranks = (each > own).sum(axis=1) + ((each == own) & (np.arange(len(each)) < relevant[:, None])).sum(axis=1)
            gains = np.where(np.isfinite(own[:, 0]), 1 / np.log2(ranks + 2), 0.0)
            found[at + row] = gains.sum() / (1 / np.log2(np.arange(2, len(relevant) + 2))).sum()
    return found


def top(scores: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n, k) item_nums by score, ties by item_num, and how many of each row are finite."""
    n_items = scores.shape[1]
    k = min(k, n_items)
    least = np.partition(scores, n_items - k, axis=1)[:, n_items - k]
    found = np.zeros((len(scores), k), dtype=np.int64)
    for row in range(len(scores)):
        near = np.flatnonzero(scores[row] >= least[row])
        found[row] = near[np.argsort(-scores[row, near], kind="stable")[:k]]
    return found, np.isfinite(np.take_along_axis(scores, found, axis=1)).sum(axis=1)


def _foreign(
    relevant: NDArray[np.int32], rows: NDArray[np.int64], users: NDArray[np.int64], items: Items, read: Logs
) -> NDArray[np.bool_]:
    """(n_relevant,) has languages, and none of those of the user's history (which has some)."""
    some = visits_of(read.visits, users)
    heard = np.zeros((len(users), items.languages.shape[1]), dtype=np.float32)
    np.maximum.at(heard, np.repeat(np.arange(len(users)), np.diff(some.indptr)), items.languages[some.nums])
    spoken = items.languages[relevant]
    common = (spoken * heard[rows]).any(axis=1)
    return np.asarray(spoken.any(axis=1) & np.asarray(heard.any(axis=1))[rows] & ~common)
