"""Which of several rows is kept, what rejects show, and what leaves no trace."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from xlrec.config.models import PrepareConfig
from xlrec.lake.inputs import conform_input
from xlrec.stages import prepare as p
from xlrec.tables import CATALOG, INTERACTIONS, USERS_INPUT

#: The columns of events that users are told from.
EVENTS = "user_id string, item_num int, timestamp timestamp, market string, weight double"
DAY = date(2026, 3, 2)
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
LAYOUT = {"catalog": CATALOG.names, "interactions": INTERACTIONS.names, "users": USERS_INPUT.names}


def frame(spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: StructType) -> DataFrame:
    loose = StructType([StructField(f.name, f.dataType) for f in schema.fields])
    return conform_input(spark.createDataFrame(rows, loose), schema, {}, "input")


def known(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([("i", 0, ["en", "und"]), ("j", 1, ["en", "fr"])],
        "item_id string, item_num int, languages array<string>")  # fmt: skip


def nobody(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], "user_id string")


@pytest.mark.parametrize("backwards", [False, True])
def test_of_repeated_events_the_one_that_says_more_is_kept(spark: SparkSession, backwards: bool) -> None:
    rows = [
        ("u", "i", NOON, "rating", None, None),
        ("u", "i", NOON, "rating", 5.0, "JP"),
        ("u", "i", NOON, " rating", 3.0, "JP"),
        ("u", "i", NOON, None, None, "JP"),
        ("u", "i", NOON, " ", None, "US"),
    ]
    config = PrepareConfig()
    raw = frame(spark, rows[::-1] if backwards else rows, INTERACTIONS)
    marked = p.mark_interactions(raw, known(spark), nobody(spark), config, DAY)
    kept = {row["event"]: (row["value"], row["market"]) for row in p.events_of(marked, config).collect()}
    assert kept == {"rating": (5.0, "JP"), "unknown": (None, "JP")}


def test_a_user_busier_than_allowed_on_one_day_is_a_bot_on_all_of_them(spark: SparkSession) -> None:
    hours = [NOON.replace(hour=hour) for hour in (1, 9, 23)]
    rows = [("busy", "i", hour, "view", None, None) for hour in hours]
    rows += [("busy", "j", NOON.replace(day=3), "view", None, None)]
    rows += [("calm", "i", hour, "view", None, None) for hour in (hours[0], hours[0], hours[1])]  # one counts once
    rows += [("calm", item, NOON.replace(day=3), "view", None, None) for item in ("i", "j")]
    rows += [("calm", "gone", hours[2], "view", None, None), (None, "i", NOON, "view", None, None)]
    config = PrepareConfig(max_events_per_user_day=2)
    marked = p.mark_interactions(frame(spark, rows, INTERACTIONS), known(spark), nobody(spark), config, DAY)
    assert p.valid_rows(marked).where("user_id = 'calm'").count() == 4
    broken = marked.where("_broken IS NOT NULL").select("user_id", "_broken.rule", "_broken.reason")
    found = [tuple(row) for row in broken.collect()]
    assert [rule for user, rule, _ in found if user == "busy"] == ["bot"] * 4
    assert sorted(rule for user, rule, _ in found if user != "busy") == ["duplicate", "missing_user_id", "unknown_item"]
    assert {reason for _, rule, reason in found if rule == "bot"} == {"the user has 3 events on one day, allowed are 2"}


def test_one_sort_serves_every_window_over_interactions(spark: SparkSession) -> None:
    raw = frame(spark, [("u", "i", NOON, "view", None, None)], INTERACTIONS)
    marked = p.mark_interactions(raw, known(spark), nobody(spark), PrepareConfig(), DAY)
    plan = marked._jdf.queryExecution().executedPlan().toString()  # type: ignore[operator]
    assert plan.count("Window ") == 3
    assert plan[: plan.index("Join")].count("Sort [") == 1


def test_weights_are_of_the_event_the_rating_and_else_the_default(spark: SparkSession) -> None:
    config = PrepareConfig(default_event_weight=0.5)
    given = [("purchase", None), ("swipe", None), (None, None), ("rating", None), ("rating", 3.9), ("rating", 4.0)]
    rows = [("u", f"i{n}", NOON, event, value, None) for n, (event, value) in enumerate(given)]
    items = spark.createDataFrame([(f"i{n}", n) for n in range(len(given))], "item_id string, item_num int")
    marked = p.mark_interactions(frame(spark, rows, INTERACTIONS), items, nobody(spark), config, DAY)
    weights = {row["item_num"]: row["weight"] for row in p.events_of(marked, config).collect()}
    assert [weights[n] for n in range(len(given))] == [3.0, 0.5, 0.5, 0.5, 0.0, 1.0]


def test_rejects_show_the_row_as_it_came_and_what_could_not_be_read(spark: SparkSession) -> None:
    raw = spark.createDataFrame(
        [("u", "i", "soon", None), ("u", "gone", "2026-02-01 12:00:00", "View")],
        "user_id string, item_id string, timestamp string, event string",
    )
    interactions = conform_input(raw, INTERACTIONS, {}, "interactions")
    marked = p.mark_interactions(interactions, known(spark), nobody(spark), PrepareConfig(), DAY)
    rows = p.rejects_of({"interactions": marked}, LAYOUT, "run", DAY).collect()
    rejects = {row["rule"]: row for row in rows}
    assert set(rejects) == {"bad_cast", "unknown_item"}
    assert "timestamp 'soon'" in rejects["bad_cast"]["reason"]
    assert json.loads(rejects["unknown_item"]["row"])["event"] == "View"
    assert "event" not in json.loads(rejects["bad_cast"]["row"])
    assert {(row["run_id"], row["run_date"], row["input"]) for row in rows} == {("run", DAY, "interactions")}


@pytest.mark.parametrize("backwards", [False, True])
def test_of_a_users_rows_the_fullest_is_kept_unless_one_opts_out(spark: SparkSession, backwards: bool) -> None:
    rows = [
        ("u", None, ["fr"], None),
        ("u", "jp", ["english"], False),
        ("u", "jp", ["ja-JP", "en-GB", "ja"], False),
        ("gone", "jp", ["ja"], False),
        ("gone", None, None, True),
        (" ", "jp", None, None),
    ]
    marked = p.mark_users(frame(spark, rows[::-1] if backwards else rows, USERS_INPUT))
    events = spark.createDataFrame([], EVENTS)
    users = p.users_of(p.valid_rows(marked), events, known(spark)).collect()
    assert [(row["user_id"], row["market"], row["languages"], row["language_weights"]) for row in users] == [
        ("u", "JP", ["en", "ja"], [0.5, 0.5])
    ]
    rejects = p.rejects_of({"users": marked}, LAYOUT, "run", DAY).collect()
    assert sorted(row["rule"] for row in rejects) == ["duplicate_user", "duplicate_user", "missing_user_id"]
    assert not any("gone" in row["row"] for row in rejects)
    assert [row[0] for row in p.opted_out_of(marked).collect()] == ["gone"]


def test_unstated_languages_and_markets_are_those_of_the_history(spark: SparkSession) -> None:
    rows = [
        ("u", 0, datetime(2026, 2, 1), "US", 8.0), ("u", 1, datetime(2026, 2, 2), "ZZ", 2.0),
        ("few", 0, datetime(2026, 2, 1), "US", 2.0), ("few", 1, datetime(2026, 2, 2), "FR", 4.0),
    ]  # fmt: skip
    events = spark.createDataFrame(rows, EVENTS)
    users = {row["user_id"]: row for row in p.users_of(p.no_users(events), events, known(spark)).collect()}
    # u: en 8 + 1, fr 1 (under 0.15: left out); few: en 2 + 2, fr 2
    assert (users["u"]["market"], users["u"]["languages"], users["u"]["language_weights"]) == ("US", ["en"], [1.0])
    assert (users["few"]["market"], users["few"]["languages"]) == ("FR", ["en", "fr"])
    assert users["few"]["language_weights"] == pytest.approx([2 / 3, 1 / 3])
    assert not users["u"]["languages_stated"]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_stated_language_is_kept_before_a_detected_one(spark: SparkSession, backwards: bool) -> None:
    rows = [
        ("i", "A tent for two people and their dog", None, None, None, ["jp"], None, None),
        ("i", "Zwei-Personen-Zelt", None, "de", None, None, None, None),
        ("i", "Tent", None, "en-GB", None, None, None, None),
    ]
    catalog = frame(spark, rows[::-1] if backwards else rows, CATALOG)
    marked = p.mark_catalog(catalog, ("de", "en"))
    texts = {row["language"]: row["title"] for row in p.texts_of(marked).collect()}
    assert texts == {"de": "Zwei-Personen-Zelt", "en": "Tent"}
    assert p.items_of(marked, DAY).collect()[0]["markets"] is None


def test_days_begin_at_midnight_before_and_after_1970(spark: SparkSession) -> None:
    day = 86_400_000_000
    micros = (-day - 1, -day, -1, 0, day - 1, day, 253402300799_999999, -62135596800_000000, 2**63 - 1, -(2**63))
    times = spark.createDataFrame([(one,) for one in micros], "micros bigint").selectExpr("timestamp_micros(micros) t")
    found = p.days_of(times.withColumnRenamed("t", "timestamp")).collect()
    begin = date(1970, 1, 1)
    wanted = [(begin - timedelta(2), 1), (begin - timedelta(1), 2), (begin, 2), (begin + timedelta(1), 1)]
    assert sorted(map(tuple, found)) == [(date.min, 1), *wanted, (date.max, 1)]


def test_days_leave_out_years_that_python_has_not(spark: SparkSession) -> None:
    times = spark.sql("SELECT explode(array(timestamp_micros(0), timestamp_micros(400000000000000000))) AS timestamp")
    assert [tuple(row) for row in p.days_of(times).collect()] == [(date(1970, 1, 1), 1)]
