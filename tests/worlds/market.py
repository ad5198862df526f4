"""A small planted world for recommenders: taste by topic, quality that texts cannot tell, markets and languages.

An item's text vector is its topic's direction with noise. Users of a market draw items of a topic and of the one that
goes with it, which no text tells; the better the likelier, and likelier in their market's language. Some items are sold
in a single market.
"""

from typing import Any

import numpy as np

from xlrec.kernels.history.visits import visits_from_events
from xlrec.training.recommender.logs import Items, Logs

DAY = 86_400_000_000


def planted(
    n_users: int = 400, n_items: int = 160, n_markets: int = 3, n_topics: int = 8, seed: int = 0, quality: float = 1.0,
    noise: float = 0.25, bilingual: float = 0.0, abroad: float = 0.5, visits_per_user: int = 16,
) -> tuple[Items, Logs, dict[str, Any]]:  # fmt: skip
    """(items, logs, truth); truth holds topic and quality of the items, and the users' topics."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(32, n_topics)))[0].T
    topic = rng.integers(0, n_topics, n_items)
    texts = directions[topic] + noise * rng.normal(size=(n_items, 32))
    texts = (texts / np.linalg.norm(texts, axis=1, keepdims=True)).astype(np.float32)
    good = rng.normal(size=n_items)
    home = rng.integers(0, n_markets, n_items)
    eligible = (rng.random((n_markets, n_items)) < abroad) | (home == np.arange(n_markets)[:, None])
    languages = np.zeros((n_items, n_markets), dtype=np.float32)
    languages[np.arange(n_items), home] = 1
    languages[rng.random((n_items, n_markets)) < 0.3] = 1
    markets = np.sort(rng.integers(0, n_markets, n_users)).astype(np.int32)
    reads = np.zeros((n_users, n_markets), dtype=np.float32)
    reads[np.arange(n_users), markets] = 1
    if bilingual:
        some = np.flatnonzero(rng.random(n_users) < bilingual)
        reads[some, (markets[some] + rng.integers(1, n_markets, len(some))) % n_markets] = 1
    likes = rng.integers(0, n_topics, n_users)
    likes = np.stack([likes, (likes + 3) % n_topics], axis=1)
    rows = []
    for user in range(n_users):
        n = int(rng.integers(2, visits_per_user))
        odds = (
            np.exp(2.5 * np.isin(topic, likes[user]) + quality * good + 1.5 * (languages @ reads[user]))
            * eligible[markets[user]]
        )
        chosen = rng.choice(n_items, min(n, int((odds > 0).sum())), replace=False, p=odds / odds.sum())
        start = int(rng.integers(0, 50 * DAY))
        rows += [(user, int(num), start + place * DAY // 2) for place, num in enumerate(chosen)]
    users, nums, micros = (np.array(column) for column in zip(*rows, strict=True))
    indptr = np.searchsorted(users, np.arange(n_users + 1)).astype(np.int64)
    ones = np.ones(len(rows))
    logs = Logs(
        visits_from_events(indptr, micros.astype(np.int64), nums.astype(np.int32), ones), markets, reads,
        users.astype(np.int32), nums.astype(np.int32), micros.astype(np.int64), ones, markets[users],
    )  # fmt: skip
    first = np.full(n_items, np.nan)
    return Items(texts, languages, eligible, first), logs, {"topic": topic, "quality": good, "likes": likes}
