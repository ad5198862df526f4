"""The demo world's users: market, languages, taste, and how much they do."""

from typing import Any, Final, NamedTuple

import numpy as np

from xlrec.datasets.demo.products import LANGUAGES, categories
from xlrec.datasets.demo.randomness import Bools, Floats, Ints, exponential, integers, uniform, weighted_choice
from xlrec.datasets.demo.world import MARKET_CODES, MARKET_SHARES, MARKETS, QUIET_MARKET, World, linked_category

MAX_STEPS: Final = 80
SHARE_OPTED_OUT: Final = 0.02
#: Shares of users by how much they do, and the range of steps (one item each) of each kind.
_ACTIVITY: Final = ((0.10, 0, 0), (0.45, 1, 3), (0.33, 4, 15), (0.12, 16, MAX_STEPS))


class Users(NamedTuple):
    """A block of users as arrays, one row a user."""

    nums: Ints  # (n,) user numbers
    market: Ints  # (n,) places in MARKET_CODES
    languages: Ints  # (n, 2) places in LANGUAGES, the stronger first; -1 where there is no second
    favourites: Ints  # (n, 3) categories of the planted taste, without repetition
    taste: Floats  # (n, 3) their weights, summing to 1; 0 where a user has fewer favourites
    n_steps: Ints  # (n,) choices that the user tries to make, at most MAX_STEPS
    opted_out: Bools
    market_stated: Bools
    languages_stated: Bools

    def take_rows(self, rows: Ints) -> "Users":
        """Users at the (m,) int64 rows of this block, in their order."""
        columns: Any = (column[rows] for column in self)
        return Users(*columns)

    @property
    def ids(self) -> list[str]:
        """External names, one a row."""
        return [user_id(num) for num in self.nums.tolist()]


def user_id(num: int) -> str:
    """External name of a user."""
    return f"user-{num:08d}"


def users_of(world: World, nums: Ints) -> Users:
    """Users with the numbers `nums` (n,) int64; no user depends on who else is in the block."""
    seed = world.seed
    market = weighted_choice(MARKET_SHARES, uniform(seed, "market", nums))
    favourites, taste = _taste(seed, nums)
    return Users(
        nums=nums,
        market=market,
        languages=_languages(seed, nums, market),
        favourites=favourites,
        taste=taste,
        n_steps=_n_steps(seed, nums, market),
        opted_out=uniform(seed, "opted out", nums) < SHARE_OPTED_OUT,
        market_stated=uniform(seed, "market stated", nums) >= 0.03,
        languages_stated=uniform(seed, "languages stated", nums) >= 0.30,
    )


def _languages(seed: int, nums: Ints, market: Ints) -> Ints:
    languages, english = np.full((len(nums), 2), -1), LANGUAGES.index("en")
    for code, read in enumerate(MARKETS.values()):
        rows = np.flatnonzero(market == code)
        known = np.array([LANGUAGES.index(name) for name in read])
        first = weighted_choice(list(read.values()), uniform(seed, "first language", nums[rows]))
        other = (first + 1 + integers(seed, "other language", len(known) - 1, nums[rows])) % len(known)
        abroad = (uniform(seed, "learnt English", nums[rows]) < 0.5) & (known[first] != english)
        second = np.where(abroad, english, known[other])
        two = uniform(seed, "two languages", nums[rows]) < 0.45
        languages[rows] = np.stack([known[first], np.where(two, second, -1)], axis=1)
    return languages


def _taste(seed: int, nums: Ints) -> tuple[Ints, Floats]:
    """One to three favourite categories with Dirichlet(1, …) weights; the second is often linked to the first."""
    n = len(categories())
    first = integers(seed, "favourite 1", n, nums)
    linked = uniform(seed, "linked favourite", nums) < 0.4
    second = np.where(linked, linked_category(first), integers(seed, "favourite 2", n, nums))
    second = np.where(second == first, (second + 1) % n, second)
    third = integers(seed, "favourite 3", n, nums)
    for _ in range(2):
        third = np.where((third == first) | (third == second), (third + 1) % n, third)
    how_many = 1 + weighted_choice([0.35, 0.4, 0.25], uniform(seed, "favourites", nums))
    parts = np.stack([exponential(seed, f"taste {i}", nums) + 0.05 for i in range(3)], axis=1)
    parts *= np.arange(3) < how_many[:, None]
    return np.stack([first, second, third], axis=1), np.round(parts / parts.sum(axis=1, keepdims=True), 6)


def _n_steps(seed: int, nums: Ints, market: Ints) -> Ints:
    shares, lows, highs = map(np.array, zip(*_ACTIVITY, strict=True))
    kind = weighted_choice(shares, uniform(seed, "activity", nums))
    # Squared: more users near the lower end of each range.
    steps = lows[kind] + ((highs - lows + 1)[kind] * uniform(seed, "steps", nums) ** 2).astype(np.int64)
    few = np.where(uniform(seed, "quiet", nums) < 0.03, 1 + integers(seed, "quiet steps", 2, nums), 0)
    return np.where(market == MARKET_CODES.index(QUIET_MARKET), few, steps)
