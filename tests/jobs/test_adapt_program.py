"""The program that adapts an encoder, from outside: on the executors of a cluster, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from worlds.parallel_texts import settings, write_world
from worlds.programs import BRIEF
from worlds.tiny_models import build_encoder

from xlrec import encoders

ROOT = Path(__file__).resolve().parents[2]


def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "jobs" / "adapt_encoder.py"), *arguments]
    environment = os.environ | BRIEF | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_two_processes_train_on_the_executors_of_a_cluster(tmp_path: Path) -> None:
    write_world(tmp_path / "texts", n_concepts=200)
    model = build_encoder(tmp_path / "base", "bert-mean")
    finetune = {"model": str(model), "learning_rate": 0.01, "max_tokens": 32, "processes": 2}
    measure = {"every_steps": 2, "candidates": 50, "min_pairs": 5, "languages": ["xx"]}
    brief = {"spark.executor.extraJavaOptions": BRIEF["SPARK_SUBMIT_OPTS"]}
    spark = {"master": "local-cluster[2,1,1024]", "driver_memory": "1g", "conf": brief}
    changes = {"finetune": finetune, "measure": measure, "batch": {"pairs": 16}, "steps": 4, "spark": spark}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings(tmp_path, mode="finetune", **changes)))
    done = ran("--config", str(tmp_path / "config.yaml"))
    assert done.returncode == 0, done.stderr
    assert "training in 2 processes, tasks of local-cluster[2,1,1024]" in done.stderr
    assert "dev at step 4: mean" in done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines[:-1]] == [["even", "xx"], ["odd", "xx"]]
    assert lines[-1] == f"wrote {tmp_path / 'model'}"
    assert encoders.load(str(tmp_path / "model")).encode(["abde lmno"]).shape == (1, 32)


def test_a_config_without_texts_ends_with_one_line_and_a_status(tmp_path: Path, programs) -> None:
    (tmp_path / "config.yaml").write_text("output: a\nwork: b\ntexts: {}\n")
    done = programs.job("adapt_encoder.py", "--config", str(tmp_path / "config.yaml"))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "names neither `path` nor `lake`" in done.err
