"""A lake on S3 and hosts that share no disk: nights, evaluation, transfer, similarity, rollback, as users do."""

import json
from pathlib import Path
from typing import Any

import pytest
from hosts import ROOT, Hosts
from nights import S3A_PACKAGES, said_of, told, written

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
READ = """
import json, sys
from xlrec.config import SparkConfig
from xlrec.lake import Lake
from xlrec.readers import read_recommendations
from xlrec.session import start
from xlrec.tables import RUNS

spark = start(SparkConfig())
lake = Lake(spark, sys.argv[1])
rows = lake.read(RUNS).orderBy("started_at").select("run_id", "status", "content_hash", "counts").toJSON().collect()
live = read_recommendations(spark, sys.argv[1]).select("run_id").first()["run_id"]
print("FOUND " + json.dumps({"runs": [json.loads(row) for row in rows], "live": live}))
"""


def test_nights_and_programs_on_s3(hosts: Hosts, s3: dict[str, str], alone: str) -> None:
    lake, demo = "s3a://bucket/lake", "s3a://bucket/demo"
    config = written(hosts, told(demo, lake))

    def submitted(job: Path, *arguments: str) -> str:
        done = hosts.run(hosts.submit(str(job), *arguments, conf=s3, packages=S3A_PACKAGES))
        assert not done.returncode, said_of(done)
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
    columns = ("--id-column", "item_id", "--text-column", "title")
    out = ("--out", "s3a://bucket/similar", "--format", "delta", "--k", "3")
    assert "pairs" in submitted(jobs / "similarity.py", "--left", f"{demo}/catalog", *columns, *out)
    assert not list(hosts.folder.glob("s3a:*"))
