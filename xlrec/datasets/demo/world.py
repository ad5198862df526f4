"""The demo world's plan and its items: who sells what, where, in which languages, and how good it is."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from xlrec.datasets.demo.products import LANGUAGES, categories, products, variant_words
from xlrec.datasets.demo.randomness import Bools, Floats, Ints, integers, normal, share_mask, uniform, weighted_choice
from xlrec.errors import ConfigError

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
MARKET_SHARES: Final = (0.24, 0.16, 0.13, 0.12, 0.13, 0.08, 0.08, 0.06)  # shares of the users; sellers are spread alike
QUIET_MARKET: Final = "KR"  # the market that has users and items, but almost no logs
OPEN_END: Final = 2**31 - 1  # last day of an item that never ends


@dataclass(frozen=True)
class World:
    """Plan of a demo world: the same plan gives the same files."""

    users: int = 2000
    items: int = 180
    seed: int = 7
    days: int = 60
    end_date: date = date(2026, 3, 1)  # the day after the last one with events

    def __post_init__(self) -> None:
        most = len(products()) * variant_words().n_combinations
        if not (1 <= self.users <= 100_000_000 and 20 <= self.items <= most and 7 <= self.days <= 3650):
            raise ConfigError(
                f"the demo world has no {self.users} users, {self.items} items, {self.days} days: users may be "
                f"1 to 100000000, items 20 to {most}, days 7 to 3650"
            )
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"the seed is {self.seed}: it may be 0 to 2**63 - 1")

    @property
    def n_weeks(self) -> int:
        """Count of the interactions' partitions: weeks of ingestion."""
        return -(-self.days // 7)

    @property
    def start(self) -> datetime:
        """First moment of the world, UTC."""
        return datetime.combine(self.end_date, time(), UTC) - timedelta(days=self.days)


class Items(NamedTuple):
    """All items as arrays by item number; masks have bit m for MARKET_CODES[m] and bit l for LANGUAGES[l]."""

    ids: tuple[str, ...]
    category: Ints  # (n_items,) places in `categories()`
    home: Ints  # (n_items,) market of the seller
    sold: Ints  # (n_items,) mask of markets; 0: sold nowhere
    everywhere: Bools  # (n_items,) whether the catalogue states no market
    languages: Ints  # (n_items,) mask of the languages of its texts
    first_day: Ints  # (n_items,) day of the world from which the item is available; 0: always was
    last_day: Ints  # (n_items,) first day on which it no longer is; OPEN_END: never
    quality: Floats  # (n_items,) hidden, standard normal
    weight: Floats  # (n_items,) Zipf-like popularity times quality, before taste
    follow_ups: Ints  # (n_items, 2) chosen soon after, of the same and of the linked category; -1: none

    def language_nums(self, num: int) -> list[int]:
        """Places in LANGUAGES of an item's texts, ascending."""
        return [place for place in range(len(LANGUAGES)) if self.languages[num] >> place & 1]


def linked_category(codes: Ints) -> Ints:
    """(n,) int64 categories whose items follow those of (n,) int64 categories: a fixed ring through all of them."""
    return (codes + 7) % len(categories())


@lru_cache(maxsize=2)
def items_of(world: World) -> Items:
    """Every item of the world; built once a process (a fraction of a second for 100,000 items)."""
    seed, nums = world.seed, np.arange(world.items)
    code_of = {name: code for code, name in enumerate(categories())}
    codes = np.array([code_of[product.category] for product in products()])[nums % len(products())]
    home = weighted_choice(MARKET_SHARES, uniform(seed, "home", nums))
    everywhere = share_mask(seed, "everywhere", world.items, 0.04)
    sold = _sold_markets(seed, home, everywhere)
    languages = _text_languages(seed, home, sold)
    first_day, last_day = _availability(world, nums)
    quality = normal(seed, "quality", nums)
    rank = np.argsort(np.argsort(uniform(seed, "popularity", nums), kind="stable"), kind="stable")
    variants = (divmod(num, len(products())) for num in range(world.items))
    ids = tuple(products()[base].slug + (f"-{variant:05d}" if variant else "") for variant, base in variants)
    weight = np.round((rank + 5.0) ** -0.7 * np.exp(0.5 * quality), 12)
    follow_ups = _follow_ups(seed, codes, sold, languages)
    return Items(ids, codes, home, sold, everywhere, languages, first_day, last_day, quality, weight, follow_ups)


def _sold_markets(seed: int, home: Ints, everywhere: Bools) -> Ints:
    nums, markets = np.arange(len(home)), np.arange(len(MARKETS))
    abroad = uniform(seed, "abroad", nums[:, None], markets) < 0.45
    sold: Ints = np.left_shift(1, home) | np.where(abroad, 1 << markets, 0).sum(axis=1)
    sold[share_mask(seed, "nowhere", len(home), 0.02)] = 0
    sold[everywhere] = (1 << len(MARKETS)) - 1
    return sold


def _text_languages(seed: int, home: Ints, sold: Ints) -> Ints:
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
    return languages.astype(np.int64)


def _availability(world: World, nums: Ints) -> tuple[Ints, Ints]:
    seed, days = world.seed, world.days
    first, last = np.zeros(len(nums), dtype=np.int64), np.full(len(nums), OPEN_END)
    new = share_mask(seed, "new", len(nums), 0.06)
    first[new] = days - 1 - integers(seed, "new/day", max(1, days // 4), nums[new])
    not_yet = share_mask(seed, "not yet", len(nums), 0.03)
    first[not_yet] = days + 1 + integers(seed, "not yet/day", 30, nums[not_yet])
    ended = share_mask(seed, "ended", len(nums), 0.05) & ~not_yet & ~new
    last[ended] = days - integers(seed, "ended/day", max(1, days // 3), nums[ended])
    return first, last


def _follow_ups(seed: int, codes: Ints, sold: Ints, languages: Ints) -> Ints:
    """Two items for each: of 24 drawn from the wanted category the one sold and readable most alike."""
    nums, order = np.arange(len(codes)), np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(categories()) + 1))
    best = np.full((len(codes), 2), -1)
    for which, wanted in enumerate((codes, linked_category(codes))):
        size, best_score = np.maximum(starts[wanted + 1] - starts[wanted], 1), np.full(len(codes), -1.0)
        for draw in range(24):
            place = starts[wanted] + integers(seed, f"follow {which}", size, nums, draw)
            drawn = order[np.minimum(place, len(codes) - 1)]
            alike = np.bitwise_count(sold & sold[drawn]) + 1.0 * np.bitwise_count(languages & languages[drawn])
            score = np.where(drawn == nums, -2.0, alike + uniform(seed, "alike", drawn))
            better = score > best_score
            best[better, which], best_score[better] = drawn[better], score[better]
    return best
