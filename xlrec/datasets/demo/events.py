"""Interaction and user rows of a block of the demo world's users."""

from collections import Counter
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from xlrec.datasets.demo.choices import choose_items
from xlrec.datasets.demo.products import LANGUAGES, categories
from xlrec.datasets.demo.randomness import Bools, Ints, integers, normal, uniform
from xlrec.datasets.demo.schemas import INTERACTIONS, TRUTH_USERS, USERS
from xlrec.datasets.demo.users import Users, users_of
from xlrec.datasets.demo.world import MARKET_CODES, World, items_of

_EVENTS: Final = ("view", "click", "cart", "purchase", "rating")
_DAY: Final = 86400


def user_tables(world: World, first: int, last: int) -> tuple[dict[str, pa.Table], Counter[str]]:
    """Rows of the users first to last - 1 by folder, and counts of users and interactions by what is special."""
    users = users_of(world, np.arange(first, last))
    events = _funnel_events(world, users, choose_items(world, users))
    counts = Counter(
        users_opted_out=int(users.opted_out.sum()),
        users_without_languages=int((~users.languages_stated).sum()),
        users_without_market=int((~users.market_stated).sum()),
        users_without_events=len(users.nums) - events.row.nunique(),
    )
    tables = _ingested_weeks(world, users, events, counts)
    return tables | {"users": _user_rows(users), "truth/users": _truth_rows(users)}, counts


def week_folder(world: World, week: int) -> str:
    """Folder of the interactions that came in during a week of the world, by its first day."""
    return f"interactions/ingested={(world.start + timedelta(weeks=week)).date().isoformat()}"


def _funnel_events(world: World, users: Users, choices: pd.DataFrame) -> pd.DataFrame:
    """Events of the choices, ordered by user and time.

    A choice is a view or click, sometimes both; the better and the better liked, the likelier cart and purchase.
    Further columns: `num` of the user, `event`, `value` (NaN: none), and `key`, the event's number within its user.
    """
    seed, step = world.seed, choices.step.to_numpy()
    nums, quality = users.nums[choices.row], items_of(world).quality[choices.item]
    liking = np.round(0.6 * quality + 0.8 * choices.in_taste + 0.7 * normal(seed, "liking", nums, step), 9)
    viewed = uniform(seed, "viewed", nums, step) < 0.75
    clicked = ~viewed | (uniform(seed, "clicked", nums, step) < 0.25 + 0.15 * (liking > 0.5))
    carted = clicked & (uniform(seed, "carted", nums, step) < np.clip(0.12 + 0.18 * liking, 0.02, 0.6))
    bought = carted & (uniform(seed, "bought", nums, step) < 0.6)
    rated = bought & (uniform(seed, "rated", nums, step) < 0.5)
    delays = np.tile([0, 4, 9, 15, _DAY], (len(nums), 1))
    delays[:, 4] += integers(seed, "rating wait", 4 * _DAY, nums, step)
    values = np.full(delays.shape, np.nan)
    values[:, 0] = 5 + integers(seed, "dwell", 240, nums, step)
    values[:, 3] = 1 + integers(seed, "quantity", 8, nums, step) // 7
    values[:, 4] = np.clip(np.round(3.4 + liking), 1.0, 5.0)
    place, event = np.nonzero(np.stack([viewed, clicked, carted, bought, rated], axis=1))
    events = choices.iloc[place].assign(num=nums[place], event=event, value=values[place, event])
    events["second"] += delays[place, event]
    events["key"] = events.step * len(_EVENTS) + event
    return events[events.second < world.days * _DAY].sort_values(["row", "second", "event"], ignore_index=True)


def _ingested_weeks(world: World, users: Users, events: pd.DataFrame, counts: Counter[str]) -> dict[str, pa.Table]:
    """Interactions by the folder of their week of ingestion: some events come weeks late, some come twice."""
    keys, last = (events.num, events.key), world.n_weeks - 1
    week = events.second.to_numpy() // (7 * _DAY)
    late = (uniform(world.seed, "late", *keys) < 0.01) & (week < last)
    week = np.where(late, last, week)
    # Opted-out users have no doubled rows, so that every planted bad row breaks one rule only.
    twice = (uniform(world.seed, "twice", *keys) < 0.005) & ~users.opted_out[events.row]
    no_market = uniform(world.seed, "no market", *keys) < 0.02
    place = np.concatenate([np.arange(len(week)), np.flatnonzero(twice)])
    week = np.concatenate([week, np.minimum(week[twice] + 1, last)])
    counts.update(
        interactions_late=int(late.sum()),
        interactions_duplicates=int(twice.sum()),
        interactions_without_market=int(no_market[place].sum()),
    )
    columns: list[Any] = [
        pa.array(users.ids, pa.string()).take(pa.array(events.row)),
        pa.array(items_of(world).ids).take(pa.array(events.item)),
        pa.array((int(world.start.timestamp()) + events.second) * 1_000_000).cast(pa.timestamp("us", tz="UTC")),
        pa.array(_EVENTS).take(pa.array(events.event)),
        pa.array(events.value.to_numpy(), mask=events.value.isna().to_numpy()),
        _market_names(users.market[events.row], no_market),
    ]
    table = pa.Table.from_arrays(columns, schema=INTERACTIONS)
    weeks = np.unique(week).tolist()
    return {week_folder(world, number): table.take(np.sort(place[week == number])) for number in weeks}


def _user_rows(users: Users) -> pa.Table:
    languages = pa.array(_language_lists(users), USERS.field("languages").type, mask=~users.languages_stated)
    columns: list[Any] = [users.ids, _market_names(users.market, ~users.market_stated), languages, users.opted_out]
    return pa.Table.from_pydict(dict(zip(USERS.names, columns, strict=True)), USERS)


def _market_names(market: Ints, unstated: Bools | None = None) -> Any:
    places: Any = pa.array(market, mask=unstated)
    return pa.array(MARKET_CODES).take(places)


def _truth_rows(users: Users) -> pa.Table:
    likes: Bools = users.taste > 0
    columns: list[Any] = [
        users.ids,
        _market_names(users.market),
        _language_lists(users),
        [[categories()[code] for code in row[keep]] for row, keep in zip(users.favourites, likes, strict=True)],
        [row[keep].tolist() for row, keep in zip(users.taste, likes, strict=True)],
    ]
    return pa.Table.from_pydict(dict(zip(TRUTH_USERS.names, columns, strict=True)), TRUTH_USERS)


def _language_lists(users: Users) -> list[list[str]]:
    return [[LANGUAGES[place] for place in row if place >= 0] for row in users.languages.tolist()]
