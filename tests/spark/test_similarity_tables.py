"""The similarity of tables: real Parquet in, pairs out, the same whatever the partitions."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from xlrec.config.models import EmbedConfig
from xlrec.errors import ConfigError, InputError
from xlrec.runtime.files import replaced_folder
from xlrec.similarity import program
from xlrec.similarity.api import most_similar
from xlrec.similarity.program import Pairing, run_similarity
from xlrec.similarity.spark import similar_pairs

LEFT = [("a", "red summer dress", "en"), ("b", "drill bit set", "en"), ("c", " ", "en"), ("d", "rote Jacke", "de")]
RIGHT = [
    ("x", "red summer dress", "en"), ("y", "summer dress in red", "en"), ("z", "rotes Sommerkleid", "de"),
    ("w", "set of drill bits", "en"), ("v", "red summer dress", "en"),
]  # fmt: skip
CONFIG = EmbedConfig(dim=64)


def table(folder: Path, name: str, rows: list[tuple[str, str, str]], files: int = 1) -> str:
    (folder / name).mkdir(parents=True)
    for number in range(files):
        part = rows[number::files]
        columns = dict(zip(("id", "text", "language"), map(list, zip(*part, strict=True)), strict=True))
        pq.write_table(pa.table(columns), folder / name / f"part-{number}.parquet")
    return str(folder / name)


def pairs(spark, out: str) -> list[tuple[str, int, str, float]]:
    rows = spark.read.parquet(out).orderBy("left_id", "rank").collect()
    return [(row["left_id"], row["rank"], row["right_id"], row["score"]) for row in rows]


def test_each_left_row_gets_its_most_similar_right_rows_whatever_the_files(spark, tmp_path: Path) -> None:
    found = []
    for files in (1, 3):
        folder = tmp_path / str(files)
        left, right = table(folder, "left", LEFT, files), table(folder, "right", RIGHT[:: (1, -1)[files > 1]], files)
        n_pairs = run_similarity(spark, Pairing(left, str(folder / "out"), right=right, k=3), CONFIG)
        found.append(pairs(spark, str(folder / "out")))
        assert n_pairs == len(found[-1]) == 9
        assert sorted(path.name for path in folder.iterdir()) == ["left", "out", "right"]
    assert found[0] == found[1]
    ordered = sorted(RIGHT)
    rows, scores = most_similar([t for _, t, _ in LEFT], [t for _, t, _ in ordered], 3, encoder=CONFIG)
    expected = [
        (LEFT[i][0], place + 1, ordered[num][0], pytest.approx(scores[i, place], abs=1e-9))
        for i, row in enumerate(rows.tolist())
        for place, num in enumerate(row)
        if num >= 0
    ]
    assert found[0] == expected


def test_a_run_that_fails_leaves_the_old_pairs_and_one_that_does_not_replaces_them(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, out = table(tmp_path, "left", LEFT), str(tmp_path / "out")
    run_similarity(spark, Pairing(left, out, k=1), CONFIG)
    old = pairs(spark, out)

    def broken(*arguments, **options):
        return similar_pairs(*arguments, **options).withColumn("score", F.raise_error(F.lit("broken")).cast("double"))

    with monkeypatch.context() as patch:
        patch.setattr(program, "similar_pairs", broken)
        for target, overwrite in ((out, True), (str(tmp_path / "other"), False)):
            with pytest.raises(PySparkException, match="broken"):
                run_similarity(spark, Pairing(left, target, k=2, overwrite=overwrite), CONFIG)
    assert pairs(spark, out) == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left", "out"]
    assert run_similarity(spark, Pairing(left, out, k=2, overwrite=True), CONFIG) == 6
    spark.catalog.refreshByPath(out)
    assert len(pairs(spark, out)) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left", "out"]


def test_the_old_pairs_come_back_where_the_new_ones_cannot_be_moved(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with pytest.raises(FileNotFoundError), replaced_folder(tmp_path / "out") as new:
        new.rmdir()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "old").exists()


def test_a_table_with_itself_in_other_languages_only_above_a_score(spark, tmp_path: Path) -> None:
    left, out = table(tmp_path, "one", RIGHT), str(tmp_path / "out")
    run_similarity(spark, Pairing(left, out, k=5, other_language_only=True), CONFIG)
    found = pairs(spark, out)
    assert {row[0] for row in found} == set("vwxyz")
    assert all((row[0] == "z") != (row[2] == "z") for row in found)
    least = sorted(row[3] for row in found)[-2]
    run_similarity(spark, Pairing(left, out, k=5, other_language_only=True, min_score=least, overwrite=True), CONFIG)
    assert pairs(spark, out) == [
        (*row[:1], 1 if row[0] != "z" else row[1], *row[2:]) for row in found if row[3] >= least
    ]


def test_what_cannot_be_compared_is_said_in_one_line(spark, tmp_path: Path) -> None:
    left = table(tmp_path, "left", LEFT)
    with pytest.raises(InputError, match=r"left has no column title, which must give text.*--text-column"):
        run_similarity(spark, Pairing(left, str(tmp_path / "out"), text_column="title"), CONFIG)
    with pytest.raises(ConfigError, match="lies in --left"):
        run_similarity(spark, Pairing(left, left), CONFIG)
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match="is there already: add --overwrite"):
        run_similarity(spark, Pairing(left, str(tmp_path / "taken")), CONFIG)
    with pytest.raises(ConfigError, match="is no parquet table to overwrite"):
        run_similarity(spark, Pairing(left, str(tmp_path / "taken"), overwrite=True), CONFIG)
    twice = table(tmp_path, "twice", [LEFT[0], LEFT[0]])
    with pytest.raises(InputError, match="1 ids with several rows in one language"):
        run_similarity(spark, Pairing(twice, str(tmp_path / "out")), CONFIG)
