"""Training from a lake: which texts and pairs Spark takes from it, and what they teach."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from worlds.choices import items, settings_of_lake

from xlrec.errors import InputError, LakeError
from xlrec.lake.delta import Lake
from xlrec.pipeline import adapting
from xlrec.runtime.files import Files
from xlrec.stages import parallel
from xlrec.tables import EVENTS, ITEMS, TEXTS
from xlrec.training.encoder import AdaptConfig
from xlrec.training.encoder.choices import LAKE_CHOICES, LAKE_TEXTS
from xlrec.training.encoder.config import LakeConfig

START = datetime(2026, 1, 1)
RUN_DATE = date(2026, 3, 1)
#: (user, item, hours since START, weight)
Event = tuple[str, str, float, float]


def silent(_: str) -> None:
    """Takes no line."""


def texts_frame(spark, rows: list[tuple[str, str, str]]):
    values = [(item, tongue, False, text, None, text, f"{item}-{tongue}") for item, tongue, text in rows]
    return spark.createDataFrame(values, TEXTS.schema)


def items_frame(spark, names: list[str]):
    values = [(name, num, [], [], None, None, None, True) for num, name in enumerate(sorted(names))]
    return spark.createDataFrame(values, ITEMS.schema)


def events_frame(spark, events: list[Event], names: list[str]):
    nums = {name: num for num, name in enumerate(sorted(names))}
    values = [
        (user, item, nums[item], START + timedelta(hours=hours), "view", None, "US", weight)
        for user, item, hours, weight in events
    ]
    return spark.createDataFrame(values, EVENTS.schema)


TEXT_ROWS = [
    ("a", "en", "red dress"), ("a", "de", "rotes Kleid"), ("b", "en", "drill"), ("c", "fr", "Fahrrad"),
    ("d", "en", "Acme"), ("d", "de", "Acme"), ("e", "und", "qwx"), ("f", "en", "- x"), ("g", "en", "alone"),
    ("h", "zh", "帽子"), ("i", "en", "late"),
]  # fmt: skip
NAMES = sorted({item for item, _, _ in TEXT_ROWS})


def chosen(spark, folder: Path, events: list[Event], **changes: object) -> set[tuple[str, str]]:
    config = LakeConfig(folder="lake", **changes)
    usable = parallel.usable_texts(texts_frame(spark, TEXT_ROWS), config)
    frames = events_frame(spark, events, NAMES), items_frame(spark, NAMES)
    return {tuple(row) for row in parallel.chosen_pairs(*frames, usable, config, Files(str(folder))).collect()}


def of_users(n: int, *chain: tuple[str, float], weight: float = 1.0) -> list[Event]:
    return [(f"u{number}-{chain}", item, hours, weight) for number in range(n) for item, hours in chain]


def test_pairs_are_what_enough_users_chose_soon_after_one_another(spark, tmp_path: Path) -> None:
    events = [
        *of_users(2, ("b", 0), ("a", 1)),
        *of_users(1, ("a", 0), ("c", 1)),  # one user alone
        *of_users(3, ("a", 0), ("h", 24 * 8)),  # too long after
        *of_users(3, ("a", 0), ("d", 1), weight=0.0),  # seen, not chosen
        *of_users(3, ("a", 0), ("e", 1), ("f", 2)),  # in an unknown language, too short
        *of_users(2, ("c", 0), ("h", 2)),
    ]
    assert chosen(spark, tmp_path, events) == {("a", "b"), ("c", "h")}
    loose = chosen(spark, tmp_path, events, min_users=1, max_gap_days=9.0, min_letters=1)
    assert loose == {("a", "b"), ("a", "c"), ("a", "f"), ("a", "h"), ("c", "h")}


def test_an_item_with_many_neighbours_keeps_the_best_and_a_bound_keeps_about_as_many(spark, tmp_path: Path) -> None:
    events = [
        *of_users(5, ("a", 0), ("b", 1)), *of_users(4, ("a", 0), ("c", 1)), *of_users(3, ("a", 0), ("h", 1)),
        *of_users(9, ("b", 0), ("g", 1)), *of_users(9, ("c", 0), ("d", 1)), *of_users(9, ("h", 0), ("i", 1)),
    ]  # fmt: skip
    every = chosen(spark, tmp_path, events)
    assert every == {("a", "b"), ("a", "c"), ("a", "h"), ("b", "g"), ("c", "d"), ("h", "i")}
    assert chosen(spark, tmp_path, events, pairs_per_item=1) == {("a", "b"), ("b", "g"), ("c", "d"), ("h", "i")}
    assert chosen(spark, tmp_path, events[::-1], max_pairs=3) < every


def test_texts_are_those_of_items_in_several_languages_and_of_items_in_pairs(spark) -> None:
    usable = parallel.usable_texts(texts_frame(spark, TEXT_ROWS), LakeConfig(folder="lake"))
    pairs = spark.createDataFrame([("a", "b"), ("b", "d")], "left_id string, right_id string")
    rows = parallel.parallel_texts(usable, pairs).collect()
    assert {(row["concept_id"], row["language"], row["source"]) for row in rows} == {
        ("a", "en", LAKE_TEXTS), ("a", "de", LAKE_TEXTS), ("b", "en", LAKE_CHOICES),
        ("d", "en", LAKE_CHOICES), ("d", "de", LAKE_CHOICES),
    }  # fmt: skip


@pytest.fixture(scope="module")
def planted(spark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake where two users each chose both items of a meaning, and everyone something else weeks later."""
    folder = tmp_path_factory.mktemp("planted")
    rows = items(300)
    names = rows["item_id"]
    events: list[Event] = []
    for number in range(300):
        for user in range(2):
            who = f"u{user}-{number % 50}"
            start = 24.0 * 10 * (number // 50)
            events += [(who, f"en-{number:04d}", start, 1.0), (who, f"xx-{number:04d}", start + 2, 1.0)]
    lake = Lake(spark, str(folder / "lake"))
    texts = list(zip(names, rows["language"], rows["text"], strict=True))
    lake.replace_rows(TEXTS, texts_frame(spark, [*texts, ("short", "en", "."), ("odd", "und", "unknown")]))
    lake.replace_rows(ITEMS, items_frame(spark, names))
    lake.replace_rows(EVENTS, events_frame(spark, events, names))
    return folder


def test_an_encoder_learns_two_languages_from_what_users_chose_in_a_lake(spark, planted: Path) -> None:
    config = AdaptConfig.model_validate(settings_of_lake(planted, {}))
    lines: list[str] = []
    untrained = config.model_copy(update={"steps": 1, "output": str(planted / "untrained")})
    untrained = untrained.model_copy(update={"static": config.static.model_copy(update={"learning_rate": 1e-9})})
    before = adapting.adapt_encoder(untrained, silent)[LAKE_CHOICES, "en"]
    after = adapting.adapt_encoder(config, lines.append)[LAKE_CHOICES, "en"]
    assert 0.35 < before < 0.65  # chance
    assert after > 0.9
    assert "300 pairs of items" in " ".join(lines)
    assert spark.range(1).count() == 1  # the session that ran before runs on


def test_an_unchanged_lake_is_read_once_and_a_changed_one_again(spark, planted: Path) -> None:
    config = AdaptConfig.model_validate(settings_of_lake(planted / "again", {"folder": str(planted / "lake")}))
    lines: list[str] = []
    first = adapting.copy_lake(spark, config, lines.append).texts.lake
    assert adapting.copy_lake(spark, config, lines.append).texts.lake == first
    assert lines == ["lake: 602 texts, 2 left out as too short, in an unknown language or too many"]
    lake = Lake(spark, str(planted / "lake"))
    lake.replace_rows(ITEMS, lake.read_table(ITEMS))
    assert adapting.copy_lake(spark, config, lines.append).texts.lake != first


def test_events_from_a_day_on_can_be_left_out(spark, planted: Path) -> None:
    for until, n_pairs in (("2026-01-11", 50), ("2026-02-01", 200)):
        lake = {"folder": str(planted / "lake"), "until": until}
        config = AdaptConfig.model_validate(settings_of_lake(planted / until, lake))
        found = adapting.copy_lake(spark, config, silent).texts.lake
        assert found is not None
        assert spark.read.parquet(f"{found.copied}/choices").count() == n_pairs
    early = AdaptConfig.model_validate(
        settings_of_lake(planted / "early", {"folder": str(planted / "lake"), "until": "2025-12-01"})
    )
    with pytest.raises(InputError, match=r"no event .* is before 2025-12-01"):
        adapting.copy_lake(spark, early, silent)


def test_a_lake_without_events_teaches_by_its_texts_in_several_languages(spark, tmp_path: Path) -> None:
    rows = items(60)
    of_meaning = [(name[3:], tongue, text) for name, tongue, text in zip(*rows.values(), strict=True)]
    lake = Lake(spark, str(tmp_path / "lake"))
    lake.replace_rows(TEXTS, texts_frame(spark, of_meaning))
    lake.replace_rows(ITEMS, items_frame(spark, sorted({name for name, _, _ in of_meaning})))
    lake.replace_rows(EVENTS, spark.createDataFrame([], EVENTS.schema))
    config = AdaptConfig.model_validate(settings_of_lake(tmp_path, {}, steps=5))
    config = config.model_copy(update={"measure": config.measure.model_copy(update={"min_pairs": 2})})
    assert set(adapting.adapt_encoder(config, silent)) == {(LAKE_TEXTS, "xx")}


@pytest.mark.usefixtures("spark")
def test_a_lake_without_tables_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="has no table texts yet"):
        adapting.adapt_encoder(AdaptConfig.model_validate(settings_of_lake(tmp_path, {})), silent)
