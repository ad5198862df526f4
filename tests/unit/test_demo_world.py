"""The demo world's people and their choices: planted taste, follow-ups, availability, whatever the block."""

from functools import lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from xlrec.datasets.demo.catalogue import item_row, truth_items
from xlrec.datasets.demo.events import user_tables
from xlrec.datasets.demo.randomness import exponential, integers, normal, share_mask, uniform
from xlrec.datasets.demo.world import OPEN_END, QUIET_MARKET, World, items_of

WORLD = World()


@lru_cache(maxsize=1)
def _whole() -> dict[str, pa.Table]:
    return user_tables(WORLD, 0, WORLD.users)[0]


@pytest.fixture
def events() -> pd.DataFrame:
    """All events of the default world, once each."""
    rows = pd.concat([table.to_pandas() for folder, table in _whole().items() if folder.startswith("interactions")])
    return rows.drop_duplicates(["user_id", "item_id", "timestamp", "event"])


@pytest.fixture
def users() -> pd.DataFrame:
    return _whole()["truth/users"].to_pandas().set_index("user_id")


@pytest.fixture
def items() -> pd.DataFrame:
    return truth_items(WORLD, 0, WORLD.items).to_pandas().set_index("item_id")


def test_random_numbers_depend_on_seed_purpose_and_keys_alone() -> None:
    whole = uniform(7, "a", np.arange(1000))
    assert (whole[500:] == uniform(7, "a", np.arange(500, 1000))).all()
    assert uniform(7, "a", 3)[0] == whole[3]
    for other in (
        uniform(8, "a", np.arange(1000)),
        uniform(7, "b", np.arange(1000)),
        uniform(7, "a", np.arange(1000), 0),
    ):
        assert not (other == whole).any()
        assert abs(np.corrcoef(other, whole)[0, 1]) < 0.1


def test_random_numbers_have_the_moments_of_their_distributions() -> None:
    n = np.arange(200_000)
    assert uniform(1, "u", n).mean() == pytest.approx(0.5, abs=0.005)
    assert np.histogram(uniform(1, "u", n), 10, (0, 1))[0].min() > 19_000
    assert (normal(1, "n", n).mean(), normal(1, "n", n).std()) == pytest.approx((0, 1), abs=0.01)
    assert exponential(1, "e", n).mean() == pytest.approx(1, abs=0.01)
    assert set(integers(1, "i", 5, n)) == set(range(5))
    assert share_mask(1, "c", 1000, 0.03).sum() == 30


def test_no_event_lies_outside_an_items_availability(events: pd.DataFrame) -> None:
    found, start = items_of(WORLD), pd.Timestamp(WORLD.end_date, tz="UTC") - pd.Timedelta(days=WORLD.days)
    place = events.item_id.map({name: num for num, name in enumerate(found.ids)})
    day = (events[events.event != "rating"].timestamp - start).dt.days
    nums = place[events.event != "rating"]
    assert (found.first_day[nums] <= day).all()
    assert (day < found.last_day[nums]).all()
    assert (found.last_day != OPEN_END).any()


def test_how_users_are_cut_into_tasks_never_changes_their_events() -> None:
    world = World(users=120)
    whole, _ = user_tables(world, 0, 120)
    parts = [user_tables(world, *block)[0] for block in ((0, 7), (7, 60), (60, 120))]
    for folder, rows in whole.items():
        assert rows.equals(pa.concat_tables([part[folder] for part in parts if folder in part]))


def test_one_market_has_users_and_items_but_almost_no_logs(users: pd.DataFrame, events: pd.DataFrame) -> None:
    by_market = events.user_id.map(users.market).value_counts()
    assert by_market.get(QUIET_MARKET, 0) < 0.005 * by_market.sum()
    assert (users.market == QUIET_MARKET).mean() > 0.05
    assert by_market.drop(QUIET_MARKET, errors="ignore").min() > 300


def test_many_histories_are_short_and_some_are_long(events: pd.DataFrame) -> None:
    items = events.groupby("user_id").item_id.nunique()
    assert (items <= 3).mean() > 0.35
    assert (events.groupby("user_id").size() >= 50).sum() >= 10


def test_events_are_mostly_views_and_purchases_are_few(events: pd.DataFrame) -> None:
    shares = events.event.value_counts(normalize=True)
    assert list(shares.index) == ["view", "click", "cart", "purchase", "rating"]
    assert 0.005 < shares["purchase"] < 0.1
    stars = events.query("event == 'rating'").value
    assert set(stars) <= {1.0, 2.0, 3.0, 4.0, 5.0}


def test_users_choose_by_their_planted_taste_and_only_what_their_market_sells(
    users: pd.DataFrame, items: pd.DataFrame, events: pd.DataFrame
) -> None:
    truth, category = users, items.category
    views = events.drop_duplicates(["user_id", "item_id"])
    liked = np.array([c in f for c, f in zip(category[views.item_id], truth.categories[views.user_id], strict=True)])
    by_chance = truth.categories.map(len).mean() / 18
    assert liked.mean() > 3 * by_chance
    assert np.allclose(truth.weights.map(sum), 1)
    rows = [item_row(WORLD, num, 0) for num in range(WORLD.items)]
    sold = {row["item_id"]: row["markets"] for row in rows}
    for item, market in zip(views.item_id, truth.market[views.user_id], strict=True):
        assert sold[item] is None or market in sold[item]


def test_the_planted_follow_ups_are_what_is_chosen_next_far_more_often_than_by_chance(
    items: pd.DataFrame, events: pd.DataFrame
) -> None:
    follow = items.follow_ups
    ordered = events.sort_values(["user_id", "timestamp"])
    ordered = ordered[ordered.item_id.ne(ordered.item_id.shift()) | ordered.user_id.ne(ordered.user_id.shift())]
    same = ordered.user_id.eq(ordered.user_id.shift(-1))
    gap = (ordered.timestamp.shift(-1) - ordered.timestamp)[same] < pd.Timedelta(minutes=15)
    pairs = list(zip(ordered.item_id[same][gap], ordered.item_id.shift(-1)[same][gap], strict=True))
    hits = np.mean([after in follow[before] for before, after in pairs])
    assert len(pairs) > 1000
    assert hits > 0.2 > 10 * 2 / 180
