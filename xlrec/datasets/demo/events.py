"""Interaction and user rows of a block of the demo world's users."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.datasets.demo.files import INTERACTIONS, TRUTH_USERS, USERS
from xlrec.datasets.demo.history import Steps, choose
from xlrec.datasets.demo.people import People, people, user_id
from xlrec.datasets.demo.products import LANGUAGES, categories
from xlrec.datasets.demo.randomness import Bools, Floats, Ints, integers, normal, uniform
from xlrec.datasets.demo.world import MARKET_CODES, World, items_of

EVENTS: Final = ("view", "click", "cart", "purchase", "rating")
_VIEW, _CLICK, _CART, _PURCHASE, _RATING = range(5)
_SHARE_LATE: Final = 0.01
_SHARE_TWICE: Final = 0.005
_SHARE_NO_MARKET: Final = 0.02


@dataclass(frozen=True)
class Block:
    """What one task writes."""

    weeks: dict[int, pa.Table]
    """Interactions by week of ingestion."""
    users: pa.Table
    truth: pa.Table
    counts: Counter[str]


@dataclass(frozen=True)
class _Events:
    row: Ints
    item: Ints
    second: Ints
    event: Ints
    value: Floats
    """NaN where there is none."""
    key: Ints
    """Number of the event within its user: what its luck hangs on."""


def block(world: World, first: int, last: int) -> Block:
    """Everything about the users first to last - 1."""
    group = people(world, np.arange(first, last))
    events = _funnel(world, group, choose(world, group))
    counts = Counter(
        users_opted_out=int(group.opted_out.sum()),
        users_without_languages=int((~group.languages_stated).sum()),
        users_without_market=int((~group.market_stated).sum()),
        users_without_events=int(len(group.nums) - len(np.unique(events.row))),
    )
    return Block(_weeks(world, group, events, counts), _users(group), _truth(group), counts)


def start_of(world: World) -> int:
    """Seconds since 1970 of the first moment of the world."""
    return int(datetime.combine(world.end_date, time(), UTC).timestamp()) - world.days * 86400


def week_folder(world: World, week: int) -> str:
    """Partition of the interactions that came in during a week of the world, by its first day."""
    day = datetime.fromtimestamp(start_of(world) + week * 7 * 86400, UTC).date()
    return f"ingested={day.isoformat()}"


def _funnel(world: World, group: People, steps: Steps) -> _Events:
    """A choice is a view or click, sometimes both; the better and the better liked, the likelier cart and purchase."""
    seed, nums, quality = world.seed, group.nums[steps.row], items_of(world).quality[steps.item]
    liking = np.round(0.6 * quality + 0.8 * steps.in_taste + 0.7 * normal(seed, "liking", nums, steps.step), 9)
    viewed = uniform(seed, "viewed", nums, steps.step) < 0.75
    clicked = ~viewed | (uniform(seed, "clicked", nums, steps.step) < 0.25 + 0.15 * (liking > 0.5))
    carted = clicked & (uniform(seed, "carted", nums, steps.step) < np.clip(0.12 + 0.18 * liking, 0.02, 0.6))
    bought = carted & (uniform(seed, "bought", nums, steps.step) < 0.6)
    rated = bought & (uniform(seed, "rated", nums, steps.step) < 0.5)
    none = np.full(len(nums), np.nan)
    dwell = (5 + integers(seed, "dwell", 240, nums, steps.step)).astype(np.float64)
    quantity = (1 + integers(seed, "quantity", 8, nums, steps.step) // 7).astype(np.float64)
    stars = np.clip(np.round(3.4 + liking), 1.0, 5.0)
    wait = 86400 + integers(seed, "rating wait", 4 * 86400, nums, steps.step)
    soon = np.zeros(len(nums), dtype=np.int64)
    parts: list[tuple[Bools, Ints, Floats]] = [
        (viewed, soon, dwell),
        (clicked, soon + 4, none),
        (carted, soon + 9, none),
        (bought, soon + 15, quantity),
        (rated, wait, stars),
    ]
    chosen = [np.flatnonzero(mask) for mask, _, _ in parts]
    place = np.concatenate(chosen)
    event = np.repeat(np.arange(len(parts)), [len(rows) for rows in chosen])
    second = steps.second[place] + np.concatenate([part[1][rows] for rows, part in zip(chosen, parts, strict=True)])
    value = np.concatenate([part[2][rows] for rows, part in zip(chosen, parts, strict=True)])
    key = steps.step[place] * len(EVENTS) + event
    order = np.lexsort((event, second, steps.row[place]))
    order = order[second[order] < world.days * 86400]
    row, item = steps.row[place][order], steps.item[place][order]
    return _Events(row, item, second[order], event[order], value[order], key[order])


def _weeks(world: World, group: People, events: _Events, counts: Counter[str]) -> dict[int, pa.Table]:
    """Files by ingestion: some events come weeks late, some come twice."""
    nums, last = group.nums[events.row], world.n_weeks - 1
    week = events.second // (7 * 86400)
    late = (uniform(world.seed, "late", nums, events.key) < _SHARE_LATE) & (week < last)
    week = np.where(late, last, week)
    # Opted-out users have no doubled rows, so that every planted bad row breaks one rule only.
    twice = (uniform(world.seed, "twice", nums, events.key) < _SHARE_TWICE) & ~group.opted_out[events.row]
    no_market = uniform(world.seed, "no market", nums, events.key) < _SHARE_NO_MARKET
    place = np.concatenate([np.arange(len(nums)), np.flatnonzero(twice)])
    week = np.concatenate([week, np.minimum(week[twice] + 1, last)])
    counts.update(
        interactions_late=int(late.sum()),
        interactions_duplicates=int(twice.sum()),
        interactions_without_market=int(no_market[place].sum()),
    )
    table = _interactions(world, group, events, no_market)
    return {
        number: table.take(np.sort(place[week == number])) for number in range(world.n_weeks) if (week == number).any()
    }


def _interactions(world: World, group: People, events: _Events, no_market: Bools) -> pa.Table:
    market = _take(MARKET_CODES, group.market[events.row])
    return pa.Table.from_arrays(
        [
            _take([user_id(num) for num in group.nums.tolist()], events.row),
            _take(items_of(world).ids, events.item),
            pa.array((start_of(world) + events.second) * 1_000_000).cast(INTERACTIONS.field("timestamp").type),
            _take(EVENTS, events.event),
            pa.array(events.value, mask=np.isnan(events.value)),
            pc.if_else(pa.array(no_market), None, market),
        ],
        schema=INTERACTIONS,
    )


def _take(words: Sequence[str], places: Ints) -> pa.StringArray:
    """The words at these places, without making an Arrow array of all words."""
    distinct, back = np.unique(places, return_inverse=True)
    return pa.array([words[place] for place in distinct.tolist()], pa.string()).take(back.astype(np.int64))


def _users(group: People) -> pa.Table:
    markets = np.array(MARKET_CODES, dtype=object)[group.market]
    markets[~group.market_stated] = None
    known = zip(_languages(group), group.languages_stated.tolist(), strict=True)
    columns = [
        [user_id(num) for num in group.nums.tolist()],
        markets.tolist(),
        [names if stated else None for names, stated in known],
        group.opted_out.tolist(),
    ]
    return pa.Table.from_pydict(dict(zip(USERS.names, columns, strict=True)), USERS)


def _truth(group: People) -> pa.Table:
    likes: NDArray[np.bool_] = group.taste > 0
    columns = [
        [user_id(num) for num in group.nums.tolist()],
        np.array(MARKET_CODES, dtype=object)[group.market].tolist(),
        _languages(group),
        [[categories()[code] for code in row[keep]] for row, keep in zip(group.favourites, likes, strict=True)],
        [row[keep].tolist() for row, keep in zip(group.taste, likes, strict=True)],
    ]
    return pa.Table.from_pydict(dict(zip(TRUTH_USERS.names, columns, strict=True)), TRUTH_USERS)


def _languages(group: People) -> list[list[str]]:
    return [[LANGUAGES[place] for place in row if place >= 0] for row in group.languages.tolist()]
