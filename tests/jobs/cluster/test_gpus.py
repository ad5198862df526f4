"""Spark processes whose GPUs a script makes up: each task of a stage has one of its own, other stages all cores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hosts import environment

from xlrec.runtime.session import delta_package

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]
PROBE = """
import json
import time

import pyarrow as pa
from pyspark import SparkFiles, TaskContext

from xlrec.config.models import SparkConfig
from xlrec.runtime.devices import gpu_profile
from xlrec.runtime.session import start_session

spark = start_session(SparkConfig())


def seen(batches):
    for batch in batches:
        context, began = TaskContext.get(), time.time()
        time.sleep(0.5)
        gpu = context.resources().get("gpu")
        where = [*(gpu.addresses if gpu else ()), SparkFiles.getRootDirectory()]
        yield pa.RecordBatch.from_pydict({"told": [json.dumps([where, began, time.time()])]})


def run(device):
    rows = spark.range(0, 12, 1, 12).mapInArrow(seen, "told string", profile=gpu_profile(spark, device))
    return [json.loads(row["told"]) for row in rows.collect()]


run("cpu")
print("SEEN " + json.dumps({device: run(device) for device in ("cpu", "auto")}))
"""


def most_at_once(tasks: list[list[float]]) -> int:
    """Tasks that ran together, at most."""
    return max(sum(begin <= at < end for begin, end in tasks) for at, _ in tasks)


def test_no_two_tasks_share_a_gpu_and_other_stages_keep_all_cores(tmp_path: Path) -> None:
    script, probe = tmp_path / "gpus.sh", tmp_path / "probe.py"
    script.write_text('#!/bin/sh\necho \'{"name": "gpu", "addresses": ["3", "5"]}\'\n')
    script.chmod(0o755)
    probe.write_text(PROBE)
    settings = {
        "spark.worker.resource.gpu.amount": "2", "spark.worker.resource.gpu.discoveryScript": str(script),
        "spark.executor.resource.gpu.amount": "2", "spark.executor.memory": "512m",
    }  # fmt: skip
    options = [one for name, value in settings.items() for one in ("--conf", f"{name}={value}")]
    submit = str(Path(sys.executable).with_name("spark-submit"))
    command = [submit, "--master", "local-cluster[1,4,512]", "--packages", delta_package(), *options, str(probe)]
    mine = environment("127.0.0.1") | {
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(command, capture_output=True, text=True, env=mine, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    assert said, done.stderr[-3000:]
    found = json.loads(said[0].removeprefix("SEEN "))
    by_gpu: dict[str, list[list[float]]] = {}
    for (address, _), begin, end in found["auto"]:
        by_gpu.setdefault(address, []).append([begin, end])
    assert set(by_gpu) == {"3", "5"}
    assert [most_at_once(tasks) for tasks in by_gpu.values()] == [1, 1]
    assert most_at_once([[begin, end] for _, begin, end in found["cpu"]]) == 4
    assert all(len(where) == 1 for where, _, _ in found["cpu"])
