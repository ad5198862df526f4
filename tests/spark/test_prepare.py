"""Planted rows land where they belong, whatever the partitions."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from xlrec.config.models import PrepareConfig
from xlrec.errors import InputError
from xlrec.lake.inputs import conform_input
from xlrec.stages import prepare as p
from xlrec.tables import CATALOG, INTERACTIONS, USERS_INPUT

DAY = date(2026, 3, 2)


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 2, day, hour, tzinfo=UTC)


ITEMS = [
    ("b", "Red dress", "<b>Silk</b> & light", "en-US", ["Clothes"], ["jp", "US "], None, None),
    ("b", "赤いドレス", "シルクのドレスです", "ja", ["Silk"], None, None, None),
    ("a", "Ein Zelt für zwei Personen mit Regenschutz", None, None, None, None, at(1), at(28)),
    ("a", "Another English tent for two people", None, "en", None, None, None, None),
    ("c", "Kaffeemühle aus Stahl", None, "de", None, [], None, None),
    ("d", "Future", None, "en", None, None, datetime(2026, 4, 1, tzinfo=UTC), None),
    ("b", "Red dress, again", None, "en", None, None, None, None),
    ("x1", None, None, "en", None, None, None, None),
    ("", "No id", None, "en", None, None, None, None),
    ("x2", "<br>", None, "en", None, None, None, None),
    ("x3", "Backwards", None, "en", None, None, at(9), at(8)),
]
EVENTS = [
    ("u1", "b", at(3), "purchase", None, "JP"),
    ("u1", "b", at(3), "purchase", None, "JP"),
    ("u1", "a", at(4), None, None, None),
    ("u2", "c", at(5), "rating", 2.0, "us"),
    ("u2", "b", at(6), "rating", 5.0, None),
    ("out", "b", at(6), "view", None, "JP"),
    (None, "b", at(6), "view", None, None),
    ("u1", "zzz", at(6), "view", None, None),
    ("u1", "b", None, "view", None, None),
    ("u1", "b", datetime(1970, 1, 1, tzinfo=UTC), "view", None, None),
    ("u1", "b", datetime(2099, 1, 1, tzinfo=UTC), "view", None, None),
    *[("bot", "a", datetime(2026, 2, 7, 1, 0, second, tzinfo=UTC), "view", None, None) for second in range(6)],
]
PEOPLE = [
    ("u1", "de", ["ja", "en_GB", "english"], None),
    ("out", "JP", None, None),
    ("out", None, None, True),
    ("quiet", None, ["tr"], False),
    (None, None, None, None),
    ("quiet", None, ["tr"], False),
]
CONFIG = PrepareConfig(max_events_per_user_day=5)


def frame(spark: SparkSession, rows: list[tuple[Any, ...]], schema: StructType, parts: int) -> DataFrame:
    loose = type(schema)([type(f)(f.name, f.dataType, True) for f in schema.fields])
    data = spark.createDataFrame(rows if parts == 1 else rows[::-1], loose).repartition(parts)
    return conform_input(data, schema, {}, "input")


@pytest.fixture(scope="module", params=[1, 4], ids=["one partition", "four, reversed"])
def prepared(spark: SparkSession, request: pytest.FixtureRequest) -> dict[str, Any]:
    catalog = frame(spark, ITEMS, CATALOG, request.param)
    languages = tuple(sorted(r[0] for r in p.stated_languages(catalog).collect()))
    assert languages == ("de", "en", "ja")
    marked = {"catalog": p.mark_catalog(catalog, languages).persist()}
    items = p.items_of(marked["catalog"], DAY).persist()
    marked["users"] = p.mark_users(frame(spark, PEOPLE, USERS_INPUT, request.param)).persist()
    raw = frame(spark, EVENTS, INTERACTIONS, request.param)
    out = p.opted_out_of(marked["users"])
    marked["interactions"] = p.mark_interactions(raw, items, out, CONFIG, DAY).persist()
    events = p.events_of(marked["interactions"], CONFIG)
    users = p.users_of(p.valid_rows(marked["users"]), events, items)
    layout = {"catalog": CATALOG.names, "interactions": INTERACTIONS.names, "users": USERS_INPUT.names}
    return {
        "texts": p.texts_of(marked["catalog"]).collect(),
        "items": {r["item_id"]: r for r in items.collect()},
        "events": events.collect(),
        "users": {r["user_id"]: r for r in users.collect()},
        "rejects": p.rejects_of(marked, layout, "r", DAY).collect(),
        "counts": {(r["input"], r["rule"]): r["n"] for r in p.counts_by_rule(marked).collect()},
    }


def test_each_bad_row_lands_in_rejects_under_its_rule(prepared: dict[str, Any]) -> None:
    assert prepared["counts"] == {
        ("catalog", ""): 6, ("catalog", "duplicate_text"): 1, ("catalog", "missing_title"): 1,
        ("catalog", "missing_item_id"): 1, ("catalog", "empty_after_cleaning"): 1, ("catalog", "bad_availability"): 1,
        ("interactions", ""): 4, ("interactions", "duplicate"): 1, ("interactions", "opted_out"): 1,
        ("interactions", "missing_user_id"): 1, ("interactions", "unknown_item"): 1,
        ("interactions", "missing_timestamp"): 1, ("interactions", "impossible_timestamp"): 2,
        ("interactions", "bot"): 6,
        ("users", ""): 2, ("users", "opted_out"): 2, ("users", "missing_user_id"): 1, ("users", "duplicate_user"): 1,
    }  # fmt: skip
    assert len(prepared["rejects"]) == sum(
        n for (_, rule), n in prepared["counts"].items() if rule not in ("", "opted_out")
    )
    assert not any("out" in row["row"].split('"') for row in prepared["rejects"])
    future = next(r for r in prepared["rejects"] if "2099" in r["row"])
    assert future["reason"].startswith("timestamp 2099-01-01 00:00:00 is not from 1990-01-01")


def test_texts_are_cleaned_and_missing_languages_detected(prepared: dict[str, Any]) -> None:
    texts = {(r["item_id"], r["language"]): r for r in prepared["texts"]}
    assert set(texts) == {("b", "en"), ("b", "ja"), ("a", "de"), ("a", "en"), ("c", "de"), ("d", "en")}
    assert texts["a", "de"]["language_detected"]
    assert not texts["b", "en"]["language_detected"]


def test_items_are_numbered_in_order_with_what_their_rows_allow(prepared: dict[str, Any]) -> None:
    items = prepared["items"]
    assert [(i, items[i]["item_num"]) for i in sorted(items)] == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]
    assert items["b"]["markets"] == ["JP", "US"]
    assert items["b"]["categories"] == ["Clothes", "Silk"]
    assert items["a"]["markets"] is None
    assert items["c"]["markets"] == []
    assert {i: items[i]["available"] for i in items} == {"a": False, "b": True, "c": True, "d": False}


def test_events_have_weights_by_kind_and_poor_ratings_are_only_seen(prepared: dict[str, Any]) -> None:
    found = {(r["user_id"], r["item_id"]): (r["event"], r["weight"], r["market"]) for r in prepared["events"]}
    assert found == {
        ("u1", "b"): ("purchase", 3.0, "JP"), ("u1", "a"): ("unknown", 1.0, "ZZ"),
        ("u2", "c"): ("rating", 0.0, "US"), ("u2", "b"): ("rating", 1.0, "ZZ"),
    }  # fmt: skip


def test_users_have_what_they_state_and_else_what_their_history_tells(prepared: dict[str, Any]) -> None:
    users = prepared["users"]
    assert set(users) == {"u1", "u2", "quiet"}
    assert (users["u1"]["market"], users["u1"]["languages_stated"]) == ("DE", True)
    # history: 3.0 on b (en, ja) and 1.0 on a (de, en): en 2.0, ja 1.5 of the stated ones, blended with one half each
    assert users["u1"]["languages"] == ["en", "ja"]
    assert users["u1"]["language_weights"] == pytest.approx([(0.5 + 2 / 3.5) / 2, (0.5 + 1.5 / 3.5) / 2])
    assert (users["u2"]["market"], users["u2"]["languages"]) == ("US", ["en", "ja"])
    assert users["u2"]["language_weights"] == pytest.approx([0.5, 0.5])
    assert (users["quiet"]["market"], users["quiet"]["languages"]) == ("ZZ", ["tr"])


def test_the_default_date_is_not_moved_by_a_stray_clock() -> None:
    days = {date(2026, 2, n): 1000 for n in range(1, 20)}
    assert p.default_run_date(days) == date(2026, 2, 20)
    assert p.default_run_date(days | {date(2099, 1, 1): 3}) == date(2026, 2, 20)
    assert p.default_run_date(days | {date(2099, 1, 1): 900}) == date(2099, 1, 2)
    with pytest.raises(InputError, match="name it as run_date"):
        p.default_run_date({})


def test_too_many_bad_rows_stop_the_job_with_the_worst_rules() -> None:
    counts = {("catalog", ""): 10, ("interactions", ""): 2, ("interactions", "unknown_item"): 8}
    p.check_rejected(counts, 0.8)
    with pytest.raises(InputError, match=r"8 of 10 rows of interactions are bad \(unknown_item 8\)"):
        p.check_rejected(counts, 0.5)
    with pytest.raises(InputError, match="catalog has no valid row"):
        p.check_rejected({("catalog", ""): 0, ("catalog", "missing_title"): 0}, 0.5)


def test_inputs_of_another_schema_are_refused_with_what_was_seen(spark: SparkSession) -> None:
    seen = spark.createDataFrame([("u", "i", "2026-02-01 10:00:00")], "uid string, item_id string, timestamp string")
    with pytest.raises(InputError, match=r"no column user_id.*it has item_id, timestamp, uid: add `columns"):
        conform_input(seen, INTERACTIONS, {}, "interactions")
    good = conform_input(seen, INTERACTIONS, {"user_id": "uid"}, "interactions").collect()[0]
    assert good["user_id"] == "u"
    assert good["_bad"] == []
    numbers = spark.createDataFrame([("u", "i", 5.5)], "user_id string, item_id string, timestamp double")
    with pytest.raises(
        InputError, match=r"interactions.timestamp has type double; timestamp may be timestamp, .*string"
    ):
        conform_input(numbers, INTERACTIONS, {}, "interactions")
    broken = spark.createDataFrame([("u", "i", "soon")], "user_id string, item_id string, timestamp string")
    assert conform_input(broken, INTERACTIONS, {}, "interactions").collect()[0]["_bad"] == ["timestamp 'soon'"]
