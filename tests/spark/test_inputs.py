"""Inputs as they come: folders, partitions, foreign types, bad values."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from xlrec.errors import InputError
from xlrec.lake.input_files import list_files
from xlrec.lake.inputs import read_input
from xlrec.tables import CATALOG, INTERACTIONS, USERS_INPUT

WHEN = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def write(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def events(spark: SparkSession, path: Path | str, **columns: str) -> list[tuple[Any, ...]]:
    frame = read_input(spark, str(path), INTERACTIONS, columns, "interactions")
    rows = frame.selectExpr("user_id", "item_id", "unix_micros(timestamp) AS t", "value", "market", "_bad").collect()
    return sorted(tuple(row) for row in rows)


def test_files_are_pinned_sorted_and_hidden_ones_left_out(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("b.parquet", "a/part-1.parquet", "_temporary/x.parquet", ".hidden.parquet", "000000_0"):
        write(tmp_path / "in [1]" / name, user_id=["u"])
    (tmp_path / "in [1]/_SUCCESS").touch()
    (tmp_path / "in [1]/notes.txt").write_text("no data")
    files = list_files(spark, str(tmp_path / "in \\[1\\]"), "interactions")
    assert [file.path.removeprefix(f"file:{tmp_path}/in [1]/") for file in files] == [
        "000000_0", "a/part-1.parquet", "b.parquet",
    ]  # fmt: skip


def test_hive_partitions_are_columns_and_ids_keep_their_zeros(spark: SparkSession, tmp_path: Path) -> None:
    for market, user in (("NA", "007"), ("JP", "8")):
        path = tmp_path / f"log/market={market}/user_id={user}/p.parquet"
        write(path, item_id=["i"], timestamp=pa.array([WHEN], pa.timestamp("us", "UTC")))
    micros = int(WHEN.timestamp()) * 10**6
    whole: list[tuple[Any, ...]] = [("007", "i", micros, None, "NA", []), ("8", "i", micros, None, "JP", [])]
    assert events(spark, tmp_path / "log") == whole
    assert events(spark, f"{tmp_path}/log/market=*") == whole
    assert events(spark, f"{tmp_path}/log/market=J*") == whole[1:]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epochs_of_any_unit_and_nanoseconds_are_timestamps(spark: SparkSession, tmp_path: Path, unit: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    epoch = int(WHEN.timestamp()) * per_second + (per_second - 1)
    micros = epoch * 10**6 // per_second
    write(tmp_path / "epoch.parquet", user_id=[1], item_id=["i"], timestamp=[epoch])
    assert events(spark, tmp_path / "epoch.parquet") == [("1", "i", micros, None, None, [])]
    times = np.array([epoch], f"datetime64[{unit}]")
    zoneless = pd.DataFrame({"user_id": ["1"], "item_id": ["i"], "timestamp": times})
    zoneless.to_parquet(tmp_path / "pandas.parquet")
    assert events(spark, tmp_path / "pandas.parquet") == [("1", "i", micros, None, None, [])]


def test_values_that_cannot_be_read_are_named_and_missing_ones_are_not(spark: SparkSession, tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.parquet", uid=["u1", "u2", "u3"], item_id=["i"] * 3,
        timestamp=["2026-02-03 04:05:06", "soon", None], value=["1.5", "many", "NaN"],
    )  # fmt: skip
    rows = events(spark, path, user_id="uid")
    assert rows[0][2:] == (int(WHEN.timestamp()) * 10**6, 1.5, None, [])
    assert rows[1][2:] == (None, None, None, ["timestamp 'soon'", "value 'many'"])
    assert rows[2][2:5] == (None, None, None)


def test_optional_columns_that_are_missing_are_null_and_dates_widen(spark: SparkSession, tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.parquet", item_id=[1], title=["t"], available_from=pa.array([WHEN.date()]), categories=[[7, 8]]
    )
    row = read_input(spark, str(path), CATALOG, {}, "catalog").collect()[0]
    assert (row["item_id"], row["language"], row["markets"], row["categories"]) == ("1", None, None, ["7", "8"])
    assert row["available_from"].isoformat()[:10] == "2026-02-03"


def test_opted_out_may_be_a_number(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", user_id=["a", "b", "c"], opted_out=[0, 1, None])
    rows = read_input(spark, str(path), USERS_INPUT, {}, "users").collect()
    assert [row["opted_out"] for row in rows] == [False, True, None]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"asin": ["i"], "title": ["t"]}, r"no column item_id.*it has asin, title: add `columns: .*\{item_id: asin\}"),
        ({"Item-ID": ["i"], "title": ["t"]}, r"\{item_id: Item-ID\}"),
        ({"item_id": ["i"], "title": [1.5]}, r"catalog.title has type double; title may be string, .*: write it"),
        ({"item_id": ["i"], "title": ["t"], "markets": ["JP,US"]}, r"catalog.markets has type string; .*array<string>"),
    ],
)
def test_another_schema_is_refused_with_what_to_write(
    spark: SparkSession, tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "x.parquet", **columns)
    with pytest.raises(InputError, match=message):
        read_input(spark, str(path), CATALOG, {}, "catalog")


def test_a_mapping_that_the_layout_has_not_or_the_file_has_not_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = str(write(tmp_path / "x.parquet", item_id=["i"], title=["t"]))
    with pytest.raises(InputError, match=r"columns.catalog maps price, which the layout has not"):
        read_input(spark, path, CATALOG, {"price": "p"}, "catalog")
    with pytest.raises(InputError, match=r"no column lang, which must give language"):
        read_input(spark, path, CATALOG, {"language": "lang"}, "catalog")


def test_nothing_and_what_is_no_parquet_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    def refuse(path: Path, message: str) -> None:
        with pytest.raises(InputError, match=message):
            read_input(spark, str(path), CATALOG, {}, "catalog")

    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty", r"there is no Parquet file for catalog at .*correct inputs.catalog")
    refuse(tmp_path / "nowhere", "there is no Parquet file")
    (tmp_path / "empty/x.csv").write_text("a,b")
    refuse(tmp_path / "empty", "seen are x.csv")
    (tmp_path / "bad.parquet").write_text("not at all")
    refuse(tmp_path / "bad.parquet", "bad.parquet is damaged or no Parquet")
    write(tmp_path / "delta/x.parquet", item_id=["i"])
    (tmp_path / "delta/_delta_log").mkdir()
    (tmp_path / "delta/_delta_log/0.json").write_text("{}")
    refuse(tmp_path / "delta", "is a Delta table")


def test_files_that_disagree_on_a_type_are_read_each_in_its_own(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "in/a.parquet", item_id=["i"], title=["t"], markets=pa.nulls(1))
    write(tmp_path / "in/b.parquet", item_id=[1], title=["t"], markets=[["JP"]])
    write(tmp_path / "in/c.parquet", item_id=pa.array([2], pa.int32()), title=["t"])
    rows = read_input(spark, str(tmp_path / "in"), CATALOG, {}, "catalog").collect()
    assert sorted((row["item_id"], row["markets"]) for row in rows) == [("1", ["JP"]), ("2", None), ("i", None)]
    write(tmp_path / "in/e.parquet", item_id=["e"], title=["t"], markets=pa.array([5], pa.int32()))
    bad = read_input(spark, str(tmp_path / "in"), CATALOG, {}, "catalog").where("item_id = 'e'").collect()[0]
    assert (bad["markets"], bad["_bad"]) == (None, ["markets '5'"])
    (tmp_path / "in/d.parquet").write_text("torn")
    with pytest.raises(InputError, match=r"catalog at .* cannot be read: .*d.parquet is damaged or no Parquet"):
        read_input(spark, str(tmp_path / "in"), CATALOG, {}, "catalog")
