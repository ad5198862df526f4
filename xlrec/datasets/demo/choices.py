"""Items that the users of the demo world choose: by taste, follow-ups and popularity, all readable to the user."""

from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd

from xlrec.datasets.demo.products import LANGUAGES, categories
from xlrec.datasets.demo.randomness import Bools, Floats, Ints, exponential, integers, normal, uniform
from xlrec.datasets.demo.users import MAX_STEPS, Users
from xlrec.datasets.demo.world import MARKET_CODES, World, items_of, linked_category

_SHARE_UNREADABLE: Final = 0.06
_ANY_LANGUAGE: Final = len(LANGUAGES)  # language of a pool that holds items in any language


def choose_items(world: World, block: Users) -> pd.DataFrame:
    """Every choice of a block of users, ordered by user and time, in memory that grows with the block only.

    Columns: `row` of the user in the block, `step` in the history from 0, `item` number, `second` after the start of
    the world, `in_taste` (whether the item's category is a favourite of the user).
    """
    items, seconds = items_of(world), _choice_seconds(world, block)
    picked = np.full((len(block.nums), MAX_STEPS), -1)
    last = np.full(len(block.nums), -1)
    for step in range(int(block.n_steps.max(initial=0))):
        rows = np.flatnonzero(block.n_steps > step)
        item = _pick_items(world, block.take_rows(rows), picked[rows, :step], last[rows], step)
        day = seconds[rows, step] // 86400
        available = (item >= 0) & (items.first_day[item] <= day) & (day < items.last_day[item])
        picked[rows[available], step] = last[rows[available]] = item[available]
    row, steps = np.nonzero(picked >= 0)
    item = picked[row, steps]
    liked = (block.favourites[row] == items.category[item][:, None]) & (block.taste[row] > 0)
    columns = {"row": row, "step": steps, "item": item, "second": seconds[row, steps], "in_taste": liked.any(axis=1)}
    return pd.DataFrame(columns)


def _pick_items(world: World, users: Users, picked: Ints, last: Ints, step: int) -> Ints:
    """Item (n,) of this step for each user; -1 where the user finds nothing new.

    `picked` (n, step) holds the earlier choices, -1 where nothing was; `last` (n,) the newest of them.
    """
    items, nums, seed = items_of(world), users.nums, world.seed
    inside = (last >= 0) & ~_starts_session(seed, nums, step)
    follow = items.follow_ups[last, (uniform(seed, "which", nums, step) < 0.4).astype(int)]
    wish = uniform(seed, "wish", nums, step)
    follows = inside & (wish < 0.5) & (follow >= 0) & _can_choose(world, users, follow, step)
    liked = _liked_category(seed, users, step)
    code = np.where(inside & (wish < 0.65), items.category[last], liked)
    item = np.where(follows, follow, _draw_item(world, users, code, step, 0))
    for attempt, other in ((1, liked), (2, linked_category(liked))):
        seen = (picked == item[:, None]).any(axis=1)
        item = np.where(seen, _draw_item(world, users, other, step, attempt), item)
    seen = (picked == item[:, None]).any(axis=1)
    return np.where(seen & (uniform(seed, "again", nums, step) >= 0.3), -1, item)


def _starts_session(seed: int, nums: Ints, step: int) -> Bools:
    """Whether the user comes back later for this step instead of going on."""
    return uniform(seed, "session", nums, step) < 0.4


def _can_choose(world: World, users: Users, item: Ints, step: int) -> Bools:
    """Whether the item is sold in the user's market and readable, or chosen without being read."""
    items = items_of(world)
    bits = np.where(users.languages >= 0, np.left_shift(1, np.maximum(users.languages, 0)), 0)
    readable = (items.languages[item] & (bits[:, 0] | bits[:, 1])) != 0
    sold = (items.sold[item] >> users.market) & 1 == 1
    blindly = uniform(world.seed, "unreadable", users.nums, step) < _SHARE_UNREADABLE
    return np.asarray(sold & (readable | blindly))


def _liked_category(seed: int, users: Users, step: int) -> Ints:
    nums, each = users.nums, np.arange(len(users.nums))
    draws = uniform(seed, "category", nums, step)[:, None]
    place = (draws >= np.cumsum(users.taste, axis=1)).sum(axis=1).clip(max=2)
    place = np.where(users.taste[each, place] > 0, place, 0)
    off_taste = uniform(seed, "off taste", nums, step) < 0.1
    other = integers(seed, "off taste/category", len(categories()), nums, step)
    return np.where(off_taste, other, users.favourites[each, place])


def _draw_item(world: World, users: Users, code: Ints, step: int, attempt: int) -> Ints:
    """An item of the category in a language of the user; of any category where the market has none."""
    seed, nums, known = world.seed, users.nums, users.languages
    second = (known[:, 1] >= 0) & (uniform(seed, f"second language {attempt}", nums, step) < 0.35)
    language = np.where(second, known[:, 1], known[:, 0])
    unread = uniform(seed, f"any language {attempt}", nums, step) < _SHARE_UNREADABLE
    language = np.where(unread, _ANY_LANGUAGE, language)
    draws = uniform(seed, f"item {attempt}", nums, step)
    starts, members, running = _item_pools(world)
    item = np.full(len(nums), -1)
    for wanted in (np.full(len(nums), len(categories())), code):
        pool = (users.market * (len(categories()) + 1) + wanted) * (_ANY_LANGUAGE + 1) + language
        first, last = starts[pool], starts[pool + 1]
        low, high = running[first], running[last]
        entry = np.searchsorted(running, low + draws * (high - low), side="right") - 1
        entry = np.minimum(np.maximum(entry, first), np.maximum(last - 1, 0))
        item = np.where(last > first, members[np.minimum(entry, len(members) - 1)], item)
    return item


@lru_cache(maxsize=2)
def _item_pools(world: World) -> tuple[Ints, Ints, Floats]:
    """Item pools of each (market, category, language), end to end; category `len(categories())` stands for all.

    Returns:
        (n_pools + 1,) first entry of each pool; (n_entries,) item numbers; (n_entries + 1,) weight of all entries
        before each.
    """
    items, every, members, weights = items_of(world), len(categories()), [], [np.zeros(1)]
    for market in range(len(MARKET_CODES)):
        local = np.exp(0.5 * normal(world.seed, "local taste", np.arange(world.items), market))
        # Whole numbers have exact sums: the draw does not depend on how an entry's running weight was rounded.
        whole = np.round(items.weight * local * 2.0**32)
        here = np.flatnonzero((items.sold >> market) & 1)
        for code in range(every + 1):
            alike = here if code == every else here[items.category[here] == code]
            for language in range(_ANY_LANGUAGE + 1):
                readable = (items.languages[alike] >> language) & 1 == 1
                members.append(alike if language == _ANY_LANGUAGE else alike[readable])
                weights.append(whole[members[-1]])
    return np.cumsum([0, *map(len, members)]), np.concatenate(members), np.cumsum(np.concatenate(weights))


def _choice_seconds(world: World, users: Users) -> Ints:
    """Seconds (n, MAX_STEPS): sessions spread over the days, minutes between the steps of one session."""
    nums, seed = users.nums, world.seed
    gaps: Floats = np.zeros((len(nums), MAX_STEPS + 1))
    inside: Floats = np.zeros((len(nums), MAX_STEPS))
    gaps[:, 0] = exponential(seed, "before", nums)
    for step in range(1, int(users.n_steps.max(initial=0))):
        breaks = _starts_session(seed, nums, step) & (step < users.n_steps)
        gaps[:, step] = np.where(breaks, exponential(seed, "gap", nums, step), 0.0)
        inside[:, step] = inside[:, step - 1] + 20 + 600 * uniform(seed, "minutes", nums, step)
    gaps[:, MAX_STEPS] = exponential(seed, "after", nums) + 1e-6
    running = np.cumsum(gaps, axis=1)
    # The last hours stay free for the minutes inside sessions.
    span = (world.days * 86400 - 600 - 620 * users.n_steps)[:, None]
    return (np.round(running[:, :MAX_STEPS] / running[:, -1:], 9) * span + inside).astype(np.int64)
