"""The demo world: the same files every time, every planted fact there in the numbers that the summary tells."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
import pytest
from pyspark.sql import SparkSession

from xlrec.datasets.demo import DemoSummary, write_demo
from xlrec.datasets.demo.defects import BOT
from xlrec.datasets.demo.products import LANGUAGES
from xlrec.datasets.demo.world import MARKETS
from xlrec.errors import ConfigError, InputError
from xlrec.tables import CATALOG, INTERACTIONS, USERS_INPUT

END = pd.Timestamp("2026-03-01", tz="UTC")


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoSummary]:
    """The default world, written once."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, write_demo(spark, str(folder))


@pytest.fixture(scope="module")
def folder(written: tuple[Path, DemoSummary]) -> Path:
    return written[0]


@pytest.fixture(scope="module")
def summary(written: tuple[Path, DemoSummary]) -> DemoSummary:
    return written[1]


@pytest.fixture(scope="module")
def catalog(folder: Path) -> pd.DataFrame:
    return _read(folder / "catalog")


@pytest.fixture(scope="module")
def events(folder: Path) -> pd.DataFrame:
    return _read(folder / "interactions")


@pytest.fixture(scope="module")
def users(folder: Path) -> pd.DataFrame:
    return _read(folder / "users")


def _read(folder: Path) -> pd.DataFrame:
    return ds.dataset(folder, partitioning="hive").to_table().to_pandas()


def _good(events: pd.DataFrame) -> pd.DataFrame:
    """Events that break no rule."""
    inside = events.timestamp.between(END - pd.Timedelta(days=60), END, inclusive="left")
    good = events[inside & events.user_id.notna() & (events.user_id != BOT) & ~events.item_id.str.startswith("ghost")]
    return good.drop_duplicates(["user_id", "item_id", "timestamp", "event"])


def test_the_same_arguments_give_the_same_bytes_and_other_seeds_other_ones(spark: SparkSession, tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_demo(spark, str(tmp_path / name), users=300, items=60, seed=seed, days=21)
    assert _hashes(tmp_path / "a") == _hashes(tmp_path / "b")
    made = [{h for name, h in _hashes(tmp_path / seed).items() if "part-0" in name} for seed in "ac"]
    assert len(made[0]) > 5
    assert not made[0] & made[1]


def test_a_smaller_world_replaces_a_larger_one_whole(spark: SparkSession, tmp_path: Path) -> None:
    write_demo(spark, str(tmp_path / "twice"), users=1200, items=100, days=14)
    write_demo(spark, str(tmp_path / "twice"), users=40, items=30, days=7)
    write_demo(spark, str(tmp_path / "once"), users=40, items=30, days=7)
    assert _hashes(tmp_path / "twice") == _hashes(tmp_path / "once")


def test_a_folder_that_is_no_demo_world_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "precious.parquet").write_text("mine")
    with pytest.raises(InputError, match=r"holds catalog but no demo\.json"):
        write_demo(spark, str(tmp_path), users=10)
    assert (tmp_path / "catalog" / "precious.parquet").read_text() == "mine"


def test_impossible_sizes_are_refused_with_what_is_allowed(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="items 20 to"):
        write_demo(spark, str(tmp_path), items=3)


def test_spark_reads_every_table_with_the_schemas_of_the_layout(
    spark: SparkSession, folder: Path, summary: DemoSummary
) -> None:
    for name, schema in (("catalog", CATALOG), ("interactions", INTERACTIONS), ("users", USERS_INPUT)):
        frame = spark.read.parquet(str(folder / name))
        found = {field.name: field.dataType for field in frame.schema if field.name != "ingested"}
        assert found == {field.name: field.dataType for field in schema}
        assert frame.count() == summary.rows[name]


def test_the_summary_is_written_beside_the_tables(folder: Path, summary: DemoSummary) -> None:
    told = json.loads((folder / "demo.json").read_text())
    assert told["planted"] == summary.planted
    assert told["end_date"] == "2026-03-01"
    assert str(summary).startswith("2,000 users, 180 items, 8 markets, 12 languages, 60 days to 2026-03-01: catalog ")


def test_most_items_have_a_title_in_one_or_two_languages_and_some_in_many(catalog: pd.DataFrame) -> None:
    tidy = catalog[catalog.item_id.notna() & catalog.title.str.strip().ne("")].drop_duplicates(["item_id", "title"])
    per_item = tidy.groupby("item_id").size()
    assert len(per_item) == 180
    assert (per_item <= 2).mean() >= 0.6
    assert (per_item >= 4).sum() >= 10


def test_every_language_and_market_has_items(catalog: pd.DataFrame) -> None:
    assert set(catalog.language.dropna()) >= set(LANGUAGES)
    sold = catalog.drop_duplicates("item_id").markets.dropna().explode().value_counts()
    assert set(sold.index) == set(MARKETS)
    assert sold.min() >= 40
    assert sold.max() <= 150


def test_planted_catalogue_rows_are_there_as_counted(catalog: pd.DataFrame, summary: DemoSummary) -> None:
    planted = summary.planted
    assert catalog.item_id.isna().sum() == planted["catalog_without_item"] > 0
    assert catalog.title.str.strip().eq("").sum() == planted["catalog_empty_title"] > 0
    assert catalog.language.isna().sum() == planted["catalog_without_language"] > 0
    assert catalog.language.isin(["pt-BR", "zh_CN", "en-US"]).sum() >= planted["catalog_region_tags"] > 0
    assert catalog.description.str.contains("<p>").sum() == planted["catalog_markup"] > 0
    named = catalog[catalog.item_id.notna() & catalog.title.str.strip().ne("")]
    assert named.duplicated(["item_id", "title", "description", "language"]).sum() == planted["catalog_duplicates"] > 0
    items = named.drop_duplicates("item_id")
    assert items.markets.isna().sum() == planted["items_everywhere"] > 0
    assert items.markets.dropna().map(len).eq(0).sum() == planted["items_nowhere"] > 0
    assert (items.available_until <= END).sum() == planted["items_ended"] > 0
    assert (items.available_from > END).sum() == planted["items_not_yet"] > 0


def test_planted_interactions_are_there_as_counted(
    events: pd.DataFrame, catalog: pd.DataFrame, summary: DemoSummary
) -> None:
    planted = summary.planted
    assert events.user_id.isna().sum() == planted["interactions_without_user"] > 0
    assert (~events.item_id.isin(catalog.item_id)).sum() == planted["interactions_unknown_item"] > 0
    assert (events.timestamp.dt.year == 1970).sum() == planted["interactions_too_old"] > 0
    assert (events.timestamp.dt.year == 2099).sum() == planted["interactions_in_future"] > 0
    assert (events.user_id == BOT).sum() == planted["interactions_bot"] > 4000
    assert events.market.isna().sum() == planted["interactions_without_market"] > 0
    key = ["user_id", "item_id", "timestamp", "event"]
    assert events[events.user_id != BOT].duplicated(key).sum() == planted["interactions_duplicates"] > 0
    assert events.duplicated([*key, "value", "market"]).sum() == planted["interactions_duplicates"]
    assert len(events) == summary.rows["interactions"]


def test_stray_events_of_the_future_are_rarer_than_one_in_a_thousand(
    events: pd.DataFrame, summary: DemoSummary
) -> None:
    assert summary.planted["interactions_in_future"] < 0.001 * len(events)


def test_some_events_come_late_in_the_file_of_another_week(events: pd.DataFrame, summary: DemoSummary) -> None:
    good = _good(events)
    came = pd.to_datetime(good.ingested.astype(str)).dt.tz_localize("UTC")
    assert (came > good.timestamp).sum() >= summary.planted["interactions_late"] * 0.9 > 0
    assert (came - pd.Timedelta(days=6) <= good.timestamp.dt.floor("D")).mean() > 0.9
    assert good.timestamp.max() >= END - pd.Timedelta(days=1)


def test_planted_users_are_there_as_counted(users: pd.DataFrame, events: pd.DataFrame, summary: DemoSummary) -> None:
    planted, known = summary.planted, users[users.user_id.notna()]
    assert len(known) == summary.world.users == known.user_id.nunique()
    assert users.user_id.isna().sum() == planted["users_without_id"]
    assert known.opted_out.sum() == planted["users_opted_out"]
    assert known.languages.isna().sum() == planted["users_without_languages"]
    assert known.market.isna().sum() == planted["users_without_market"]
    # Bad rows name users too, at times ones without any event of their own.
    assert (~known.user_id.isin(_good(events).user_id)).sum() == planted["users_without_events"]
    assert 0.01 < known.opted_out.mean() < 0.04
    assert 0.2 < known.languages.isna().mean() < 0.4


def test_translations_give_every_base_product_in_every_language(folder: Path, catalog: pd.DataFrame) -> None:
    texts = _read(folder / "translations")
    assert len(texts) == 180 * len(LANGUAGES) == len(texts.drop_duplicates(["item_id", "language"]))
    assert set(catalog.item_id.dropna()) == set(texts.item_id)


def test_more_items_are_variants_with_titles_of_their_own(spark: SparkSession, tmp_path: Path) -> None:
    summary = write_demo(spark, str(tmp_path), users=50, items=1000, days=10, end_date=date(2025, 1, 31))
    catalog = _read(tmp_path / "catalog").dropna(subset="item_id")
    tidy = catalog[catalog.title.str.strip().ne("")].drop_duplicates(["item_id", "title"])
    assert tidy.item_id.nunique() == 1000
    assert tidy.title.nunique() > 0.99 * len(tidy)
    assert summary.planted["interactions_bot"] == summary.planted["interactions_in_future"] == 0
    newest = _good_until(_read(tmp_path / "interactions"), datetime(2025, 1, 31, tzinfo=UTC))
    assert newest < datetime(2025, 1, 31, tzinfo=UTC)


def _good_until(events: pd.DataFrame, end: datetime) -> datetime:
    newest: datetime = events.timestamp[events.timestamp < end].max().to_pydatetime()
    assert newest == events.timestamp.max()
    return newest
