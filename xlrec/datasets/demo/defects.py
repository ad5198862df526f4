"""Rows that no job should use: every one breaks exactly one rule, and all are counted."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from xlrec.datasets.demo.catalogue import item_row, languages_of
from xlrec.datasets.demo.events import start_of
from xlrec.datasets.demo.files import CATALOG, INTERACTIONS, USERS
from xlrec.datasets.demo.people import SHARE_OPTED_OUT, user_id
from xlrec.datasets.demo.products import LANGUAGES
from xlrec.datasets.demo.randomness import integers, uniform
from xlrec.datasets.demo.world import World, items_of

#: Events of the bot on each of its days; over the default of `prepare.max_events_per_user_day`.
BOT_EVENTS_PER_DAY: Final = 2100
BOT_DAYS: Final = 2
BOT: Final = "user-crawler"
#: A smaller world has no bot: its events would outweigh all others.
MIN_USERS_FOR_BOT: Final = 1000
#: A smaller world has no events in 2099: they would be more than stray ones.
USERS_PER_FUTURE_EVENT: Final = 300


def bad_catalogue(world: World) -> tuple[pa.Table, Counter[str]]:
    """Rows without title, without item, and of items and languages that are there already."""
    items = items_of(world)
    # A title in a language that the item does not have: rejecting the row loses nothing else.
    empty = [item_row(world, num, _missing_language(world, num)) | {"title": "  "} for num in range(4)]
    nameless = [item_row(world, num, languages_of(world, num)[0]) | {"item_id": None} for num in (4, 5)]
    again = [item_row(world, num, languages_of(world, num)[0]) for num in _tagged(world, 6)]
    counts = Counter(catalog_empty_title=len(empty), catalog_without_item=len(nameless), catalog_duplicates=len(again))
    counts["items_everywhere"] = int(items.everywhere.sum())
    counts["items_nowhere"] = int(items.nowhere.sum())
    counts["items_ended"] = int((items.last_day <= world.days).sum())
    counts["items_not_yet"] = int((items.first_day > world.days).sum())
    return pa.Table.from_pylist(empty + nameless + again, CATALOG), counts


def bad_users() -> tuple[pa.Table, Counter[str]]:
    """A row without user."""
    row = {"user_id": None, "market": "DE", "languages": ["de"], "opted_out": False}
    return pa.Table.from_pylist([row], USERS), Counter(users_without_id=1)


def bad_interactions(world: World) -> tuple[pa.Table, Counter[str]]:
    """Unknown items, missing users, impossible clocks and a bot."""
    n_future = min(3, world.users // USERS_PER_FUTURE_EVENT)
    unknown = [_event(world, i) | {"item_id": f"ghost-{i:04d}"} for i in range(10)]
    anonymous = [_event(world, i) | {"user_id": None} for i in range(10, 15)]
    old = [_event(world, i) | {"timestamp": datetime(1970, 1, 1, 0, i, tzinfo=UTC)} for i in range(15, 20)]
    future = [_event(world, i) | {"timestamp": datetime(2099, 7, i, tzinfo=UTC)} for i in range(20, 20 + n_future)]
    bot = _bot(world) if world.users >= MIN_USERS_FOR_BOT else []
    counts = Counter(
        interactions_unknown_item=len(unknown),
        interactions_without_user=len(anonymous),
        interactions_too_old=len(old),
        interactions_in_future=len(future),
        interactions_bot=len(bot),
    )
    return pa.Table.from_pylist(unknown + anonymous + old + future + bot, INTERACTIONS), counts


def _missing_language(world: World, num: int) -> int:
    known = languages_of(world, num)
    return next(place for place in range(len(LANGUAGES)) if place not in known)


def _tagged(world: World, wanted: int) -> list[int]:
    """Items whose first catalogue row is tidy, so that a second one is its exact copy."""
    nums = np.arange(min(world.items, 200))
    first = np.array([languages_of(world, num)[0] for num in nums.tolist()])
    draws = [uniform(world.seed, purpose, nums, first) for purpose in ("untagged", "region", "markup")]
    found = np.flatnonzero(np.min(draws, axis=0) >= 0.5)
    return [int(num) for num in found[:wanted]]


def _event(world: World, i: int) -> dict[str, Any]:
    """A plausible view by some user who has not opted out."""
    tries = integers(world.seed, "bad event", world.users, i, np.arange(100))
    stays = uniform(world.seed, "opted out", tries) >= SHARE_OPTED_OUT
    user = int(tries[np.argmax(stays)])
    return {
        "user_id": user_id(user),
        "item_id": items_of(world).ids[i % world.items],
        "timestamp": _moment(world, (world.days - 2) * 86400 + 3601 * i % 86400),
        "event": "view",
        "value": 10.0,
        "market": "US",
    }


def _bot(world: World) -> list[dict[str, Any]]:
    n = BOT_EVENTS_PER_DAY * BOT_DAYS
    nums = integers(world.seed, "bot", world.items, np.arange(n)).tolist()
    return [
        {
            "user_id": BOT,
            "item_id": items_of(world).ids[num],
            "timestamp": _moment(
                world, (world.days - 9 + i // BOT_EVENTS_PER_DAY) * 86400 + i % BOT_EVENTS_PER_DAY * 40
            ),
            "event": "view",
            "value": 1.0,
            "market": "US",
        }
        for i, num in enumerate(nums)
    ]


def _moment(world: World, second: int) -> datetime:
    return datetime.fromtimestamp(start_of(world), UTC) + timedelta(seconds=second)
