"""The demo world's plan and its items: who sells what, where, in which languages, and how good it is."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.datasets.demo.products import LANGUAGES, categories, products
from xlrec.datasets.demo.randomness import Bools, Floats, Ints, category, chosen, integers, normal, uniform
from xlrec.datasets.demo.vocabulary import N_COMBINATIONS
from xlrec.errors import ConfigError

Masks = NDArray[np.uint16]

#: Languages that are read in each market, with their shares of readers; the first is the seller's own.
MARKETS: Final[dict[str, dict[str, float]]] = {
    "US": {"en": 0.78, "es": 0.16, "zh": 0.06},
    "DE": {"de": 0.8, "tr": 0.1, "ru": 0.05, "en": 0.05},
    "FR": {"fr": 0.84, "ar": 0.1, "en": 0.06},
    "BR": {"pt": 0.92, "es": 0.08},
    "JP": {"ja": 0.9, "en": 0.05, "zh": 0.05},
    "KR": {"ko": 0.93, "en": 0.07},
    "IN": {"hi": 0.6, "en": 0.4},
    "AE": {"ar": 0.5, "en": 0.25, "hi": 0.15, "ru": 0.1},
}
MARKET_CODES: Final = tuple(MARKETS)
#: Shares of the users; sellers are spread alike.
MARKET_SHARES: Final = (0.24, 0.16, 0.13, 0.12, 0.13, 0.08, 0.08, 0.06)
#: The market that has users and items, but almost no logs.
QUIET_MARKET: Final = "KR"

SHARE_EVERYWHERE: Final = 0.04
SHARE_NOWHERE: Final = 0.02
SHARE_ENDED: Final = 0.05
SHARE_NOT_YET: Final = 0.03
SHARE_NEW: Final = 0.06
_SOLD_ABROAD: Final = 0.45
OPEN_END: Final = 2**31 - 1


@dataclass(frozen=True)
class World:
    """What the demo world is made from: the same plan gives the same files."""

    users: int = 2000
    items: int = 180
    seed: int = 7
    days: int = 60
    end_date: date = date(2026, 3, 1)
    """The day after the last one with events."""

    def __post_init__(self) -> None:
        """Checks the ranges."""
        most = len(products()) * N_COMBINATIONS
        if not (1 <= self.users <= 100_000_000 and 20 <= self.items <= most and 7 <= self.days <= 3650):
            raise ConfigError(
                f"the demo world has no {self.users} users, {self.items} items, {self.days} days: users may be "
                f"1 to 100000000, items 20 to {most}, days 7 to 3650"
            )
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"the seed is {self.seed}: it may be 0 to 2**63 - 1")

    @property
    def n_weeks(self) -> int:
        """Partitions of the interactions, by week of ingestion."""
        return -(-self.days // 7)


@dataclass(frozen=True)
class Items:
    """All items as arrays by item_num; masks have bit m for MARKET_CODES[m] and bit l for LANGUAGES[l]."""

    product: Ints
    variant: Ints
    category: Ints
    home: Ints
    """Market of the seller."""
    sold: Masks
    languages: Masks
    everywhere: Bools
    nowhere: Bools
    first_day: Ints
    """Day of the world from which the item is available; OPEN_END: after the end; 0: always was."""
    last_day: Ints
    """First day on which it no longer is."""
    quality: Floats
    """Hidden, standard normal."""
    weight: Floats
    """Zipf-like popularity times quality, before taste."""
    follow_ups: Ints
    """(n_items, 2): what is chosen soon after, first of the same, then of the linked category."""
    ids: tuple[str, ...]


def linked_category(codes: Ints) -> Ints:
    """The category whose items follow those of each category: a fixed ring through all of them."""
    n = len(categories())
    return (codes + 7) % n


@lru_cache(maxsize=2)
def items_of(world: World) -> Items:
    """Every item of the world; built once a process (a fraction of a second for 100,000 items)."""
    n, seed = world.items, world.seed
    nums = np.arange(n)
    names = {name: code for code, name in enumerate(categories())}
    product, variant = nums % len(products()), nums // len(products())
    codes = np.array([names[row.category] for row in products()])[product]
    home = category(MARKET_SHARES, uniform(seed, "home", nums))
    everywhere = chosen(seed, "everywhere", n, SHARE_EVERYWHERE)
    nowhere = chosen(seed, "nowhere", n, SHARE_NOWHERE) & ~everywhere
    sold = _sold(seed, home, everywhere, nowhere)
    languages = _languages(seed, home, sold)
    first_day, last_day = _availability(world, nums)
    quality = normal(seed, "quality", nums)
    rank = np.argsort(np.argsort(uniform(seed, "popularity", nums), kind="stable"), kind="stable")
    return Items(
        product=product,
        variant=variant,
        category=codes,
        home=home,
        sold=sold,
        languages=languages,
        everywhere=everywhere,
        nowhere=nowhere,
        first_day=first_day,
        last_day=last_day,
        quality=quality,
        weight=np.round((rank + 5.0) ** -0.7 * np.exp(0.5 * quality), 12),
        follow_ups=_follow_ups(seed, codes, sold, languages),
        ids=tuple(
            products()[p].slug + (f"-{v:05d}" if v else "")
            for p, v in zip(product.tolist(), variant.tolist(), strict=True)
        ),
    )


def _sold(seed: int, home: Ints, everywhere: Bools, nowhere: Bools) -> Masks:
    nums = np.arange(len(home))
    sold = np.left_shift(1, home)
    for market in range(len(MARKET_CODES)):
        abroad = uniform(seed, "abroad", nums, market) < _SOLD_ABROAD
        sold |= np.where(abroad, 1 << market, 0)
    sold[everywhere] = (1 << len(MARKET_CODES)) - 1
    sold[nowhere] = 0
    return sold.astype(np.uint16)


def _languages(seed: int, home: Ints, sold: Masks) -> Masks:
    """Half the items: the seller's language alone; a third: English or a second one too; the rest: wherever sold."""
    nums = np.arange(len(home))
    own = [[LANGUAGES.index(name) for name in read] for read in MARKETS.values()]
    main, english = np.array([read[0] for read in own])[home], LANGUAGES.index("en")
    others = np.zeros(len(home), dtype=np.int64)
    for market, read in enumerate(own):
        rows = np.flatnonzero(home == market)
        others[rows] = np.array(read[1:])[integers(seed, "other language of sellers", len(read) - 1, nums[rows])]
    seller = np.where(uniform(seed, "seller", nums) < 0.15, others, main)
    kind = uniform(seed, "kind", nums)
    second = np.where((seller != english) & (uniform(seed, "second", nums) < 0.7), english, others)
    languages = np.left_shift(1, seller) | np.where(kind >= 0.48, np.left_shift(1, second), 0)
    for market, read in enumerate(own):
        there = (kind >= 0.82) & ((sold >> market) & 1 == 1)
        for place, language in enumerate(read):
            too = there & ((place == 0) | (uniform(seed, "minority", nums, market, place) < 0.3))
            languages |= np.where(too, 1 << language, 0)
    found: Masks = languages.astype(np.uint16)
    return found


def _availability(world: World, nums: Ints) -> tuple[Ints, Ints]:
    seed, days = world.seed, world.days
    first, last = np.zeros(len(nums), dtype=np.int64), np.full(len(nums), OPEN_END)
    new = chosen(seed, "new", len(nums), SHARE_NEW)
    first[new] = days - 1 - integers(seed, "new/day", max(1, days // 4), nums[new])
    not_yet = chosen(seed, "not yet", len(nums), SHARE_NOT_YET)
    first[not_yet] = days + 1 + integers(seed, "not yet/day", 30, nums[not_yet])
    ended = chosen(seed, "ended", len(nums), SHARE_ENDED) & ~not_yet & ~new
    last[ended] = days - integers(seed, "ended/day", max(1, days // 3), nums[ended])
    return first, last


def _follow_ups(seed: int, codes: Ints, sold: Masks, languages: Masks) -> Ints:
    """Two items for each, from 24 drawn of the wanted category the one that is sold and readable most alike."""
    found = []
    for which, wanted in enumerate((codes, linked_category(codes))):
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(categories()) + 1))
        size = np.maximum(starts[wanted + 1] - starts[wanted], 1)
        best, best_score = np.full(len(codes), -1), np.full(len(codes), -1.0)
        for draw in range(24):
            place = starts[wanted] + integers(seed, f"follow {which}", size, np.arange(len(codes)), draw)
            drawn = order[np.minimum(place, len(codes) - 1)]
            alike = np.bitwise_count(sold & sold[drawn]) + 1.0 * np.bitwise_count(languages & languages[drawn])
            score = np.where(drawn == np.arange(len(codes)), -2.0, alike + uniform(seed, "alike", drawn))
            better = score > best_score
            best, best_score = np.where(better, drawn, best), np.where(better, score, best_score)
        found.append(best)
    return np.stack(found, axis=1)
