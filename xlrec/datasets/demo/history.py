"""What the users of the demo world choose, step by step: taste, follow-ups and popularity, all readable to the user."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from xlrec.datasets.demo.people import MAX_STEPS, People
from xlrec.datasets.demo.pools import ANY_LANGUAGE, pools_of
from xlrec.datasets.demo.products import categories
from xlrec.datasets.demo.randomness import Bools, Floats, Ints, exponential, integers, uniform
from xlrec.datasets.demo.world import Items, World, items_of, linked_category

_NEW_SESSION: Final = 0.4
_FOLLOW_UP: Final = 0.5
_SAME_CATEGORY: Final = 0.65
_OFF_TASTE: Final = 0.1
_UNREADABLE: Final = 0.06
_SEE_AGAIN: Final = 0.3


@dataclass(frozen=True)
class Steps:
    """Items that users chose, one row a choice, ordered by user and time."""

    row: Ints
    """Row of the user in the block."""
    step: Ints
    item: Ints
    second: Ints
    """Seconds after the start of the world."""
    in_taste: Bools


@dataclass
class _State:
    """Of each user of the block: what was chosen so far."""

    picked: Ints
    """(n, MAX_STEPS), -1 where nothing was."""
    last: Ints


def choose(world: World, block: People) -> Steps:
    """Every choice of a block of users, in memory that grows with the block only."""
    items = items_of(world)
    state = _State(np.full((len(block.nums), MAX_STEPS), -1), np.full(len(block.nums), -1))
    seconds = _times(world, block)
    for step in range(int(block.n_steps.max(initial=0))):
        rows = np.flatnonzero(block.n_steps > step)
        item = _pick(world, block, state, rows, step)
        day = seconds[rows, step] // 86400
        item = np.where((item >= 0) & (items.first_day[item] <= day) & (day < items.last_day[item]), item, -1)
        state.picked[rows, step] = item
        state.last[rows] = np.where(item >= 0, item, state.last[rows])
    row, step_nums = np.nonzero(state.picked >= 0)
    item = state.picked[row, step_nums]
    return Steps(row, step_nums, item, seconds[row, step_nums], _in_taste(block, row, items.category[item]))


def _pick(world: World, block: People, state: _State, rows: Ints, step: int) -> Ints:
    """The item of this step for the active rows; -1 where the user finds nothing new."""
    items, nums, seed = items_of(world), block.nums[rows], world.seed
    last = state.last[rows]
    inside = (last >= 0) & ~new_session(seed, nums, step)
    follow = items.follow_ups[last, (uniform(seed, "which", nums, step) < 0.4).astype(int)]
    wish = uniform(seed, "wish", nums, step)
    follows = inside & (wish < _FOLLOW_UP) & (follow >= 0) & _finds(world, items, block, rows, follow, step)
    liked = _liked_category(world, block, rows, step)
    code = np.where(inside & (wish < _SAME_CATEGORY), items.category[last], liked)
    item = np.where(follows, follow, _from_pool(world, block, rows, code, step, 0))
    for attempt in (1, 2):
        seen = _seen(state, rows, item, step)
        code = liked if attempt == 1 else linked_category(liked)
        item = np.where(seen, _from_pool(world, block, rows, code, step, attempt), item)
    again = uniform(seed, "again", nums, step) < _SEE_AGAIN
    return np.where(_seen(state, rows, item, step) & ~again, -1, item)


def new_session(seed: int, nums: Ints, step: int) -> Bools:
    """Whether the user comes back later for this step instead of going on."""
    return uniform(seed, "session", nums, step) < _NEW_SESSION


def _finds(world: World, items: Items, block: People, rows: Ints, item: Ints, step: int) -> Bools:
    """Whether the item is sold in the user's market and readable, or chosen without being read."""
    bits = np.zeros(len(rows), dtype=np.int64)
    for which in (0, 1):
        language = block.languages[rows, which]
        bits |= np.where(language >= 0, np.left_shift(1, np.maximum(language, 0)), 0)
    readable = (items.languages[item] & bits) != 0
    sold = (items.sold[item] >> block.market[rows]) & 1 == 1
    blindly = uniform(world.seed, "unreadable", block.nums[rows], step) < _UNREADABLE
    return np.asarray(sold & (readable | blindly))


def _liked_category(world: World, block: People, rows: Ints, step: int) -> Ints:
    seed, nums = world.seed, block.nums[rows]
    draws = uniform(seed, "category", nums, step)[:, None]
    place = (draws >= np.cumsum(block.taste[rows], axis=1)).sum(axis=1).clip(max=2)
    place = np.where(block.taste[rows, place] > 0, place, 0)
    off = uniform(seed, "off taste", nums, step) < _OFF_TASTE
    return np.where(
        off, integers(seed, "off taste/category", len(categories()), nums, step), block.favourites[rows, place]
    )


def _from_pool(world: World, block: People, rows: Ints, code: Ints, step: int, attempt: int) -> Ints:
    """An item of the category in a language of the user; another category where the market has none."""
    seed, nums, pools = world.seed, block.nums[rows], pools_of(world)
    market, known = block.market[rows], block.languages[rows]
    second = (known[:, 1] >= 0) & (uniform(seed, f"second language {attempt}", nums, step) < 0.35)
    language = np.where(second, known[:, 1], known[:, 0])
    language = np.where(uniform(seed, f"any language {attempt}", nums, step) < _UNREADABLE, ANY_LANGUAGE, language)
    draws = uniform(seed, f"item {attempt}", nums, step)
    item = pools.draw(market, code, language, draws)
    everything = np.full(len(rows), len(categories()))
    return np.where(item >= 0, item, pools.draw(market, everything, language, draws))


def _seen(state: _State, rows: Ints, item: Ints, step: int) -> Bools:
    return np.asarray((state.picked[rows, :step] == item[:, None]).any(axis=1))


def _times(world: World, block: People) -> Ints:
    """(n, MAX_STEPS) seconds: sessions spread over the days, minutes between the steps of one session."""
    nums, seed = block.nums, world.seed
    n_steps = int(block.n_steps.max(initial=0))
    gaps: Floats = np.zeros((len(nums), MAX_STEPS + 1))
    inside: Floats = np.zeros((len(nums), MAX_STEPS))
    gaps[:, 0] = exponential(seed, "before", nums)
    for step in range(1, n_steps):
        breaks = new_session(seed, nums, step) & (step < block.n_steps)
        gaps[:, step] = np.where(breaks, exponential(seed, "gap", nums, step), 0.0)
        inside[:, step] = inside[:, step - 1] + 20 + 600 * uniform(seed, "minutes", nums, step)
    gaps[:, MAX_STEPS] = exponential(seed, "after", nums) + 1e-6
    running = np.cumsum(gaps, axis=1)
    # The last hours stay free for the minutes inside sessions.
    span = (world.days * 86400 - 600 - 620 * block.n_steps)[:, None]
    return (np.round(running[:, :MAX_STEPS] / running[:, -1:], 9) * span + inside).astype(np.int64)


def _in_taste(block: People, row: Ints, code: Ints) -> Bools:
    return np.asarray(((block.favourites[row] == code[:, None]) & (block.taste[row] > 0)).any(axis=1))
