"""A lake on S3 and hosts that share no disk: nights, evaluation, transfer, similarity, rollback, as users do."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hosts import HADOOP, ROOT, Hosts, free_port, reachable
from nights import INPUTS, said_of, told, written

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
boto3: Any = pytest.importorskip("boto3", reason="make test-cluster installs it")
CONF = {
    "spark.hadoop.fs.s3a.access.key": "x", "spark.hadoop.fs.s3a.secret.key": "x",
    "spark.hadoop.fs.s3a.path.style.access": "true", "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
}  # fmt: skip
PACKAGES = (f"org.apache.hadoop:hadoop-aws:{HADOOP}",)
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


@pytest.fixture(scope="module")
def s3(hosts: Hosts, demo: Path) -> dict[str, str]:
    """Settings of a client of an S3 API, with the inputs in a bucket."""
    port = free_port(hosts.driver)
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", hosts.driver, "-p", str(port)]
    hosts.start("s3", command, hosts.driver)
    hosts.wait_for(lambda: reachable(hosts.driver, port), "the S3 API")
    endpoint = f"http://{hosts.driver}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1"
    )
    client.create_bucket(Bucket="bucket")
    for path in (path for name in INPUTS for path in (demo / name).rglob("*.parquet")):
        client.upload_file(str(path), "bucket", f"demo/{path.relative_to(demo).as_posix()}")
    for number in (1, 2):
        hosts.start_worker(number)
    return CONF | {"spark.hadoop.fs.s3a.endpoint": endpoint}


def test_nights_and_programs_on_s3(hosts: Hosts, s3: dict[str, str], alone: str) -> None:
    lake, demo = "s3a://bucket/lake", "s3a://bucket/demo"
    config = written(hosts, told(demo, lake))

    def submitted(job: Path, *arguments: str) -> str:
        done = hosts.run(hosts.submit(str(job), *arguments, conf=s3, packages=PACKAGES))
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
