"""The similarity program from outside: what it prints, writes and refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds.programs import BRIEF

from xlrec.config.models import EmbedConfig
from xlrec.similarity.program import Pairing, run_similarity
from xlrec.tables import SIMILARITIES

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["红色连衣裙", "robe rouge d'été", "red summer dress", "drill bit set"]
CONFIG = EmbedConfig(dim=64)


def ran(program: tuple[str, ...], *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | BRIEF | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def table(path: Path, **columns: list[str | None]) -> str:
    pq.write_table(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), path)
    return str(path)


def test_a_few_texts_give_a_matrix_with_their_languages_and_start_no_spark(programs) -> None:
    shown = ran(("-m", "xlrec.cli", "similarity"), *TEXTS, "--encoder", "default", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["texts"] == TEXTS
    assert found["languages"] == ["zh", "fr", "en", "en"]
    assert [len(row) for row in found["scores"]] == [4] * 4
    assert shown.stderr == ""  # a session would say that it starts
    matrix = programs.command("similarity", *TEXTS, "--encoder", "default")
    assert matrix.status == 0
    assert "red summer dress" in matrix.out


def test_the_job_writes_pairs_and_says_what_it_left_out(tmp_path: Path) -> None:
    left = table(tmp_path / "a.parquet", sku=["a", "b", "c"], name=["red dress", "<b></b>", "Bohrer"])
    out = str(tmp_path / "pairs")
    options = ("--id-column", "sku", "--text-column", "name", "--encoder", "default", "--languages", "de,en")
    done = ran((str(ROOT / "jobs" / "similarity.py"),), "--left", left, "--k", "1", *options, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "2 pairs in" in done.stdout
    assert "1 without text" in done.stderr
    assert "red dress" not in done.stderr
    rows = pq.read_table(out).sort_by("left_id").to_pylist()
    assert [list(row) for row in rows] == [SIMILARITIES.schema.names] * 2
    assert [(row["left_id"], row["right_id"], row["rank"]) for row in rows] == [("a", "c", 1), ("c", "a", 1)]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("one",), 2, "1 texts are given, allowed are 2 to 20"),
        (("a", "b", "--left", "x"), 2, "texts and tables are both given"),
        (("--left", "x"), 2, "--left and --out are needed"),
        (("a", "b", "--languages", "en,klingonese"), 2, "no BCP 47 language"),
        (("a", "b", "--encoder", "default", "--config", "x.yaml"), 2, "leave one out"),
    ],
)
def test_wrong_arguments_end_with_one_line_and_a_status(
    arguments: tuple[str, ...], status: int, said: str, programs
) -> None:
    done = programs.command("similarity", *arguments)
    assert (done.status, done.err.count("\n")) == (status, 1)
    assert said in done.err


def test_no_table_at_the_path_is_said_with_the_option_that_names_it(spark, tmp_path: Path) -> None:
    from xlrec.errors import InputError

    with pytest.raises(InputError, match=r"no Parquet file for left at .*: correct --left"):
        run_similarity(spark, Pairing(str(tmp_path / "none"), str(tmp_path / "out")), CONFIG)


def test_delta_pairs_are_replaced_in_one_commit_and_have_comments(spark, tmp_path: Path) -> None:
    left = table(tmp_path / "a.parquet", id=["a", "b", "c"], text=["red dress", "red dresses", "drill"])
    out = str(tmp_path / "pairs")
    n_first = run_similarity(spark, Pairing(left, out, k=2, form="delta"), CONFIG)
    n_second = run_similarity(spark, Pairing(left, out, k=1, form="delta", overwrite=True), CONFIG)
    rows = spark.read.format("delta").load(out)
    assert (n_first, n_second, rows.count()) == (6, 3, 3)
    assert rows.schema["score"].metadata["comment"] == SIMILARITIES.schema["score"].metadata["comment"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "pairs"]
