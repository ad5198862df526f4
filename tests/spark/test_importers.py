"""The importers, on small files in the layouts that the sets come in, and on MovieLens itself where it is."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from xlrec.datasets.amazon_m2 import DAYS, FIRST_DAY, import_amazon_m2
from xlrec.datasets.mind import import_mind
from xlrec.datasets.movielens import import_movielens
from xlrec.errors import InputError
from xlrec.tables import CATALOG, INTERACTIONS

MOVIELENS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "movielens-latest-small"


def _rows(spark: SparkSession, out: Path, table: str, *order: str) -> list[dict[str, Any]]:
    schema = CATALOG if table == "catalog" else INTERACTIONS
    frame = spark.read.parquet(str(out / table))
    assert {field.name: field.dataType for field in frame.schema} == {f.name: f.dataType for f in schema}
    return [row.asDict() for row in frame.orderBy(*order).collect()]


def _write(folder: Path, files: dict[str, str], encoding: str = "utf-8") -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding)
    return folder


def test_movielens_films_become_items_and_ratings_events(spark: SparkSession, tmp_path: Path) -> None:
    source = _write(
        tmp_path / "ml",
        {
            "movies.csv": 'movieId,title,genres\n10,"Quiet Harbour, The (1995)",Drama|Romance\n'
            '11,"""Up"" and Away (2001)",(no genres listed)\n',
            "ratings.csv": "userId,movieId,rating,timestamp\n1,10,4.5,964982703\n2,11,0.5,964981247\n",
            "tags.csv": "userId,movieId,tag,timestamp\n1,10,Sea,1\n2,10,sea ,2\n3,10,boats,3\n",
        },
    )
    summary = import_movielens(spark, str(source), str(tmp_path / "out"))
    assert summary.rows == {"catalog": 2, "interactions": 2}
    assert str(summary).endswith("out: catalog 2 rows, interactions 2 rows")
    first, second = _rows(spark, tmp_path / "out", "catalog", "item_id")
    assert first["title"] == "Quiet Harbour, The (1995)"
    assert first["categories"] == ["Drama", "Romance"]
    assert first["description"] == "boats, sea"
    assert (first["language"], first["markets"]) == ("en", None)
    assert second["title"] == '"Up" and Away (2001)'
    assert (second["categories"], second["description"]) == ([], None)
    event = _rows(spark, tmp_path / "out", "interactions", "user_id")[0]
    assert (event["user_id"], event["item_id"], event["event"], event["value"]) == ("1", "10", "rating", 4.5)
    assert event["timestamp"].replace(tzinfo=UTC).timestamp() == 964982703


def test_movielens_1m_files_are_read_as_well(spark: SparkSession, tmp_path: Path) -> None:
    source = _write(
        tmp_path / "ml-1m",
        {
            "movies.dat": "1::Café of Stars (1999)::Comedy|Drama\n",
            "ratings.dat": "5::1::3::978300760\n",
        },
        "latin-1",
    )
    assert import_movielens(spark, str(source), str(tmp_path / "out")).rows == {"catalog": 1, "interactions": 1}
    (film,) = _rows(spark, tmp_path / "out", "catalog", "item_id")
    assert (film["title"], film["categories"]) == ("Café of Stars (1999)", ["Comedy", "Drama"])


def test_a_second_import_replaces_the_first(spark: SparkSession, tmp_path: Path) -> None:
    files = {"movies.csv": "movieId,title,genres\n1,A,B\n", "ratings.csv": "userId,movieId,rating,timestamp\n1,1,1,1\n"}
    source = _write(tmp_path / "ml", files)
    for _ in range(2):
        assert import_movielens(spark, str(source), str(tmp_path / "out")).rows == {"catalog": 1, "interactions": 1}


def test_a_missing_file_is_named_with_what_is_expected(spark: SparkSession, tmp_path: Path) -> None:
    source = _write(tmp_path / "ml", {"movies.csv": "movieId,title,genres\n1,A,B\n"})
    with pytest.raises(InputError, match=r"ratings\.csv is not in .*ml: the folder of a MovieLens set is expected"):
        import_movielens(spark, str(source), str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"news\.tsv is not in .*a folder of MIND is expected"):
        import_mind(spark, str(source), str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"products_train\.csv is not in .*Amazon-M2 is expected"):
        import_amazon_m2(spark, str(source), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_missing_column_is_named_with_those_that_are_there(spark: SparkSession, tmp_path: Path) -> None:
    source = _write(tmp_path / "ml", {"movies.csv": "id,title,genres\n1,A,B\n", "ratings.csv": "userId\n1\n"})
    with pytest.raises(InputError, match=r"has the columns id, title, genres, but movieId is missing"):
        import_movielens(spark, str(source), str(tmp_path / "out"))


@pytest.mark.skipif(not MOVIELENS.exists(), reason="shared/data/movielens-latest-small is not on this machine")
def test_the_real_movielens_comes_in_whole(spark: SparkSession, tmp_path: Path) -> None:
    summary = import_movielens(spark, str(MOVIELENS), str(tmp_path))
    assert summary.rows == {"catalog": 9742, "interactions": 100836}
    events = spark.read.parquet(str(tmp_path / "interactions"))
    found = events.selectExpr("count(distinct user_id)", "count(distinct item_id)", "count(timestamp)", "min(value)")
    assert tuple(found.collect()[0]) == (610, 9724, 100836, 0.5)
    catalog = spark.read.parquet(str(tmp_path / "catalog"))
    assert catalog.where("title is null or categories is null").count() == 0
    assert catalog.where("description is not null").count() == 1572


NEWS = "\t".join(
    ["{id}", "news", "{sub}", "{title}", "{abstract}", "https://example.org", "[]", '[{{"Label": "a\\"b"}}]']
)


def _mind(folder: Path) -> Path:
    news = [
        NEWS.format(id="N1", sub="world", title='The "quiet" vote', abstract="What happened."),
        NEWS.format(id="N2", sub="news", title="Rain ahead", abstract=""),
        NEWS.format(id="N3", sub="sport", title="Late goal", abstract="It rained."),
    ]
    behaviors = [
        "1\tU1\t11/11/2019 9:05:58 AM\tN3 N2\tN1-1 N2-0",
        "2\tU1\t11/12/2019 11:00:00 PM\tN3 N2\tN2-1 N3-1 N1-0",
        "3\tU2\t11/12/2019 12:30:00 AM\t\tN3-0 N1-1",
    ]
    return _write(folder, {"news.tsv": "\n".join(news) + "\n", "behaviors.tsv": "\n".join(behaviors) + "\n"})


def test_mind_clicks_become_events_and_histories_lie_before_the_first_impression(
    spark: SparkSession, tmp_path: Path
) -> None:
    summary = import_mind(spark, str(_mind(tmp_path / "mind")), str(tmp_path / "out"))
    assert summary.rows == {"catalog": 3, "interactions": 6}
    events = _rows(spark, tmp_path / "out", "interactions", "user_id", "timestamp", "item_id")
    assert [(e["user_id"], e["item_id"], e["timestamp"], e["event"]) for e in events] == [
        ("U1", "N3", datetime(2019, 11, 11, 7, 5, 58), "click"),
        ("U1", "N2", datetime(2019, 11, 11, 8, 5, 58), "click"),
        ("U1", "N1", datetime(2019, 11, 11, 9, 5, 58), "click"),
        ("U1", "N2", datetime(2019, 11, 12, 23, 0), "click"),
        ("U1", "N3", datetime(2019, 11, 12, 23, 0), "click"),
        ("U2", "N1", datetime(2019, 11, 12, 0, 30), "click"),
    ]
    first, second, _ = _rows(spark, tmp_path / "out", "catalog", "item_id")
    assert (first["title"], first["description"], first["language"]) == ('The "quiet" vote', "What happened.", "en")
    assert first["categories"] == ["news", "world"]
    assert (second["categories"], second["description"]) == (["news"], None)


def test_xmind_translations_join_their_news_in_their_languages(spark: SparkSession, tmp_path: Path) -> None:
    xmind = _write(
        tmp_path / "xMIND",
        {
            "ron/xMINDsmall_train/news.tsv": "N1\tVotul\tCe s-a întâmplat.\nN9\tAltceva\t\n",
            "ron/xMINDsmall_dev/news.tsv": "N1\tVotul\tCe s-a întâmplat.\n",
            "jpn/news.tsv": "N2\t雨の予報\t\n",
        },
    )
    summary = import_mind(spark, str(_mind(tmp_path / "mind")), str(tmp_path / "out"), translations=str(xmind))
    assert summary.rows == {"catalog": 5, "interactions": 6}
    rows = _rows(spark, tmp_path / "out", "catalog", "item_id", "language")
    texts = {(row["item_id"], row["language"]): (row["title"], row["categories"]) for row in rows}
    assert texts["N1", "ro"] == ("Votul", ["news", "world"])
    assert texts["N2", "ja"] == ("雨の予報", ["news"])


def test_several_splits_of_mind_come_in_together(spark: SparkSession, tmp_path: Path) -> None:
    _mind(tmp_path / "mind" / "MINDsmall_train")
    _write(
        tmp_path / "mind" / "MINDsmall_dev",
        {
            "news.tsv": NEWS.format(id="N3", sub="sport", title="Late goal", abstract="It rained.")
            + "\n"
            + NEWS.format(id="N4", sub="world", title="New", abstract="More.")
            + "\n",
            "behaviors.tsv": "1\tU1\t11/15/2019 9:00:00 AM\tN3 N2 N1\tN4-1\n",
        },
    )
    summary = import_mind(spark, str(tmp_path / "mind"), str(tmp_path / "out"))
    assert summary.rows == {"catalog": 4, "interactions": 7}


def test_a_folder_without_translations_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "xMIND").mkdir()
    with pytest.raises(InputError, match=r"news\.tsv is in no folder of .*xMIND/ron/news\.tsv"):
        import_mind(spark, str(_mind(tmp_path / "m")), str(tmp_path / "out"), translations=str(tmp_path / "xMIND"))


def _amazon(folder: Path) -> Path:
    products = (
        "id,locale,title,price,brand,color,size,model,material,author,desc\n"
        'A1,UK,"Lamp, ""tall""",19.99,Lumo,black,,,steel,,"Stands\nalone, shines."\n'
        "A1,DE,Stehlampe,21.5,Lumo,schwarz,,,,,\n"
        "B2,JP,急須,3000.0,,,,,,,\n"
        "C3,UK,Cup,2.0,,,,,,,\n"
    )
    sessions = (
        "prev_items,next_item,locale\n"
        "\"['C3' 'A1'\n 'C3']\",A1,UK\n"
        "['B2'],B2,JP\n"
        "\"['A1', 'A1']\",A1,DE\n"
    )  # fmt: skip
    return _write(folder, {"products_train.csv": products, "sessions_train.csv": sessions})


def test_amazon_m2_products_have_a_text_per_locale_and_are_sold_where_listed(
    spark: SparkSession, tmp_path: Path
) -> None:
    summary = import_amazon_m2(spark, str(_amazon(tmp_path / "m2")), str(tmp_path / "out"))
    assert summary.rows == {"catalog": 4, "interactions": 9}
    rows = _rows(spark, tmp_path / "out", "catalog", "item_id", "language")
    assert [(row["item_id"], row["language"], row["markets"]) for row in rows] == [
        ("A1", "de", ["DE", "UK"]),
        ("A1", "en", ["DE", "UK"]),
        ("B2", "ja", ["JP"]),
        ("C3", "en", ["UK"]),
    ]
    assert rows[1]["title"] == 'Lamp, "tall"'
    assert rows[1]["description"] == "Lumo. black. steel. Stands\nalone, shines."
    assert rows[2]["description"] is None


def test_amazon_m2_sessions_become_users_with_their_items_in_order(spark: SparkSession, tmp_path: Path) -> None:
    source = str(_amazon(tmp_path / "m2"))
    import_amazon_m2(spark, source, str(tmp_path / "out"))
    events = _rows(spark, tmp_path / "out", "interactions", "user_id", "timestamp")
    by_user: dict[str, list[str]] = {}
    for event in events:
        by_user.setdefault(event["user_id"], []).append(event["item_id"])
        assert event["market"] == event["user_id"][:2]
        assert 0 <= (event["timestamp"].date() - FIRST_DAY).days <= DAYS
    assert by_user == {
        "UK-00000000": ["C3", "A1", "C3", "A1"],
        "JP-00000001": ["B2", "B2"],
        "DE-00000002": ["A1", "A1", "A1"],
    }
    import_amazon_m2(spark, source, str(tmp_path / "again"))
    assert _rows(spark, tmp_path / "again", "interactions", "user_id", "timestamp") == events
