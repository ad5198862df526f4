"""Draws an item by market, category and language: what a reader may find there, heavier where more popular."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from xlrec.datasets.demo.products import LANGUAGES, categories
from xlrec.datasets.demo.randomness import Floats, Ints, normal
from xlrec.datasets.demo.world import MARKET_CODES, Items, World, items_of

#: Language of a pool that holds items in any language.
ANY_LANGUAGE: Final = len(LANGUAGES)


@dataclass(frozen=True)
class Pools:
    """For each (market, category, language) the items and the running sum of their weights, end to end."""

    starts: Ints
    """(n_pools + 1,)"""
    items: Ints
    running: Floats
    """(n_entries + 1,): running[e] is the weight of all entries before e."""

    def draw(self, market: Ints, code: Ints, language: Ints, draws: Floats) -> Ints:
        """Items drawn by weight; -1 where the pool is empty. `code` len(categories()) stands for all categories."""
        pool = _pool(market, code, language)
        first, last = self.starts[pool], self.starts[pool + 1]
        low, high = self.running[first], self.running[last]
        entry = np.searchsorted(self.running, low + draws * (high - low), side="right") - 1
        entry = np.minimum(np.maximum(entry, first), np.maximum(last - 1, 0))
        return np.where(last > first, self.items[np.minimum(entry, len(self.items) - 1)], -1)


@lru_cache(maxsize=2)
def pools_of(world: World) -> Pools:
    """The pools of a world; built once a process."""
    items = items_of(world)
    keys, members, weights = [], [], []
    for market in range(len(MARKET_CODES)):
        here = np.flatnonzero((items.sold >> market) & 1)
        local = items.weight[here] * np.exp(0.5 * normal(world.seed, "local taste", here, market))
        for language in range(ANY_LANGUAGE + 1):
            found = _readable(items, here, language)
            for code in (items.category[here[found]], np.full(len(found), len(categories()))):
                keys.append(_pool(np.full(len(found), market), code, np.full(len(found), language)))
                members.append(here[found])
                weights.append(local[found])
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    n_pools = len(MARKET_CODES) * (len(categories()) + 1) * (ANY_LANGUAGE + 1)
    # Whole numbers have exact sums: the draw does not depend on how an entry's running weight was rounded.
    whole = np.round(np.concatenate(weights)[order] * 2.0**32)
    return Pools(
        starts=np.searchsorted(key[order], np.arange(n_pools + 1)),
        items=np.concatenate(members)[order],
        running=np.concatenate([[0.0], np.cumsum(whole)]),
    )


def _readable(items: Items, here: Ints, language: int) -> Ints:
    if language == ANY_LANGUAGE:
        return np.arange(len(here))
    return np.flatnonzero((items.languages[here] >> language) & 1)


def _pool(market: Ints, code: Ints, language: Ints) -> Ints:
    return (market * (len(categories()) + 1) + code) * (ANY_LANGUAGE + 1) + language
