"""Planted bad rows of the demo world: each breaks exactly one rule, and all are counted."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from xlrec.datasets.demo.catalogue import item_row
from xlrec.datasets.demo.products import LANGUAGES
from xlrec.datasets.demo.randomness import integers, uniform
from xlrec.datasets.demo.users import SHARE_OPTED_OUT, user_id
from xlrec.datasets.demo.world import World, items_of

Rows = list[dict[str, Any]]

BOT: Final = "user-crawler"
#: Events of the bot on each of its two days; over the default of `prepare.max_events_per_user_day`.
_BOT_EVENTS_PER_DAY: Final = 2100
_MIN_USERS_FOR_BOT: Final = 1000  # a smaller world has no bot: its events would outweigh all others
#: Users for each event in 2099: where they are fewer, such events would be more than stray ones.
_USERS_PER_FUTURE_EVENT: Final = 300


def bad_catalogue(world: World) -> dict[str, Rows]:
    """Catalogue rows without title, without item, and of items and languages that are there already, by defect."""
    known = [items_of(world).language_nums(num) for num in range(min(world.items, 200))]
    missing = [next(place for place in range(len(LANGUAGES)) if place not in known[num]) for num in range(4)]
    # Items whose first row is tidy, so that a second one is its exact copy.
    keys = np.arange(len(known)), np.array([places[0] for places in known])
    draws = [uniform(world.seed, purpose, *keys) for purpose in ("untagged", "region", "markup")]
    tidy = np.flatnonzero(np.min(draws, axis=0) >= 0.5)[:6].tolist()
    return {
        # A title in a language that the item does not have: rejecting the row loses nothing else.
        "catalog_empty_title": [item_row(world, num, missing[num]) | {"title": "  "} for num in range(4)],
        "catalog_without_item": [item_row(world, num, known[num][0]) | {"item_id": None} for num in (4, 5)],
        "catalog_duplicates": [item_row(world, num, known[num][0]) for num in tidy],
    }


def bad_interactions(world: World) -> dict[str, Rows]:
    """Interactions with unknown items, missing users, impossible clocks, and those of a bot, by defect."""
    views = [_plain_view(world, i) for i in range(20 + min(3, world.users // _USERS_PER_FUTURE_EVENT))]
    moments = {i: datetime(1970, 1, 1, 0, i, tzinfo=UTC) for i in range(15, 20)}
    moments |= {i: datetime(2099, 7, i, tzinfo=UTC) for i in range(20, len(views))}
    return {
        "interactions_unknown_item": [views[i] | {"item_id": f"ghost-{i:04d}"} for i in range(10)],
        "interactions_without_user": [view | {"user_id": None} for view in views[10:15]],
        "interactions_too_old": [views[i] | {"timestamp": moments[i]} for i in range(15, 20)],
        "interactions_in_future": [views[i] | {"timestamp": moments[i]} for i in range(20, len(views))],
        "interactions_bot": _bot_views(world) if world.users >= _MIN_USERS_FOR_BOT else [],
    }


def _plain_view(world: World, i: int) -> dict[str, Any]:
    """A plausible view by some user who has not opted out."""
    tries = integers(world.seed, "bad event", world.users, i, np.arange(100))
    opted_in = uniform(world.seed, "opted out", tries) >= SHARE_OPTED_OUT
    user = user_id(int(tries[np.argmax(opted_in)]))
    return _view(world, user, i % world.items, (world.days - 2) * 86400 + 3601 * i % 86400, 10.0)


def _bot_views(world: World) -> Rows:
    places = np.arange(2 * _BOT_EVENTS_PER_DAY)
    days, within = np.divmod(places, _BOT_EVENTS_PER_DAY)
    seconds = (world.days - 9 + days) * 86400 + within * 40
    nums = integers(world.seed, "bot", world.items, places)
    return [_view(world, BOT, num, second, 1.0) for num, second in zip(nums.tolist(), seconds.tolist(), strict=True)]


def _view(world: World, user: str, num: int, second: int, value: float) -> dict[str, Any]:
    moment, item = world.start + timedelta(seconds=second), items_of(world).ids[num]
    return {"user_id": user, "item_id": item, "timestamp": moment, "event": "view", "value": value, "market": "US"}
