"""A lake on S3 and hosts that share no disk: nights, evaluation, transfer, rollback, similarity, as users do."""

import io
import json
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pandas as pd
import pytest
from flaky import Flaky
from hosts import ROOT, Hosts
from nights import S3A_PACKAGES, output_of, written
from worlds.demo import night_config

from xlrec.errors import LakeError

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
READ = """
import json, sys
from xlrec.config.models import SparkConfig
from xlrec.lake.delta import Lake
from xlrec.lake.readers import read_recommendations
from xlrec.runtime.session import start_session
from xlrec.tables import RUNS

spark = start_session(SparkConfig())
lake = Lake(spark, sys.argv[1])
runs = lake.read_table(RUNS).orderBy("started_at")
rows = runs.select("run_id", "status", "content_hash", "counts").toJSON().collect()
live = read_recommendations(spark, sys.argv[1]).select("run_id").first()["run_id"]
print("FOUND " + json.dumps({"runs": [json.loads(row) for row in rows], "live": live}))
"""


def test_nights_and_programs_on_s3(hosts: Hosts, s3: dict[str, str], alone: str) -> None:
    lake, demo = "s3a://bucket/lake", "s3a://bucket/demo"
    config = written(hosts, night_config(demo, lake))

    def submitted(job: Path, *arguments: str) -> str:
        done = hosts.run(hosts.submit(str(job), *arguments, conf=s3, packages=S3A_PACKAGES))
        assert not done.returncode, output_of(done)
        return done.stdout

    def found() -> dict[str, Any]:
        (hosts.folder / "read.py").write_text(READ)
        lines = submitted(hosts.folder / "read.py", lake).splitlines()
        told: dict[str, Any] = json.loads(next(line for line in lines if line.startswith("FOUND ")).split(" ", 1)[1])
        return told

    jobs = ROOT / "jobs"
    for job in ("nightly.py", "nightly.py", "evaluate.py"):
        submitted(jobs / job, "--config", config)
    first, second, evaluated = found()["runs"]
    assert [first["content_hash"], second["content_hash"]] == [alone, alone]
    assert second["counts"]["embed.texts"] == 0
    assert evaluated["counts"]["evaluate.users"] > 0
    said = submitted(jobs / "transfer.py", "--config", config, "--from", "US,DE,FR,BR,IN,AE", "--to", "JP")
    assert f"{lake}/_models/transfer-" in "".join(said.split())
    (hosts.folder / "rollback.py").write_text(
        "from xlrec.cli import main\nimport sys\nmain(['rollback', *sys.argv[1:]])"
    )
    submitted(hosts.folder / "rollback.py", "--config", config)
    assert found()["live"] == first["run_id"]
    assert not list(hosts.folder.glob("s3a:*"))


def test_similar_texts_on_s3(hosts: Hosts, s3: dict[str, str]) -> None:
    table = io.BytesIO()
    titles = ["red shoes", "chaussures rouges", "drill", "perceuse", "lamp", "lampe"]
    pd.DataFrame({"id": [f"i{number}" for number in range(6)], "text": titles}).to_parquet(table)
    endpoint, kind = s3["spark.hadoop.fs.s3a.endpoint"], {"Content-Type": "application/octet-stream"}
    urlopen(Request(f"{endpoint}/bucket/left/part.parquet", table.getvalue(), kind, method="PUT")).close()
    out = ("--out", "s3a://bucket/similar", "--format", "delta", "--k", "3")
    job = str(ROOT / "jobs" / "similarity.py")
    done = hosts.run(hosts.submit(job, "--left", "s3a://bucket/left", *out, conf=s3, packages=S3A_PACKAGES))
    assert not done.returncode, output_of(done)
    assert "18 pairs" in done.stdout
    assert b"similar/_delta_log/" in urlopen(f"{endpoint}/bucket?list-type=2&prefix=similar/").read()


def test_a_lake_that_fails_now_and_then_gives_the_same_lists_and_a_dead_one_is_one_line(
    hosts: Hosts, s3: dict[str, str], alone: str
) -> None:
    endpoint = "spark.hadoop.fs.s3a.endpoint"
    shares = {"refused": 0.03, "slow": 0.03, "lost": 0.01}
    flaky = Flaky(hosts.driver, int(s3[endpoint].rpartition(":")[2]), shares)
    conf = s3 | {endpoint: f"http://{hosts.driver}:{flaky.port}"}
    config = written(hosts, night_config("s3a://bucket/demo", "s3a://bucket/flaky"))
    night = str(ROOT / "jobs" / "nightly.py")
    try:
        done = hosts.run(hosts.submit(night, "--config", config, conf=conf, packages=S3A_PACKAGES))
    finally:
        flaky.close()
    assert not done.returncode, output_of(done)
    assert min(flaky.counts.values()) > 10, flaky.counts
    (hosts.folder / "read.py").write_text(READ)
    read = hosts.submit(str(hosts.folder / "read.py"), "s3a://bucket/flaky", conf=s3, packages=S3A_PACKAGES)
    (line,) = [one for one in hosts.run(read).stdout.splitlines() if one.startswith("FOUND ")]
    assert [run["content_hash"] for run in json.loads(line.split(" ", 1)[1])["runs"]] == [alone]
    began = time.monotonic()
    done = hosts.run(hosts.submit(night, "--config", config, conf=conf, packages=S3A_PACKAGES))  # nobody listens now
    assert done.returncode == LakeError.status, output_of(done)
    assert "cannot be" in output_of(done).splitlines()[-1]
    assert time.monotonic() - began < 420  # 199 s where the machine is idle: S3A tries again, ever more rarely
