"""The night on two hosts that share no disk, by real spark-submit, the code in a wheel: a lake on HDFS, one on S3.

One application runs both, so that the second finds a warm JVM; `make test-cluster` has machines that die, and all
programs.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hosts import Hosts, wheel
from nights import S3A_PACKAGES, output_of
from worlds.demo import night_config

from xlrec.runtime.hadoop import FileSystem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NIGHTS = """
import json
import sys
from pathlib import Path

from xlrec.pipeline.cluster import checks
from xlrec.config.models import SparkConfig
from xlrec.lake.delta import Lake
from xlrec.pipeline.night import nightly
from xlrec.runtime.session import start_session
from xlrec.config.loading import validate_config
from xlrec.tables import RUNS

spark = start_session(SparkConfig())
for values in json.loads(Path(sys.argv[1]).read_text()):
    config = validate_config(values)
    lacking = [check.seen for check in checks(spark, config) if check.required and not check.ok]
    run_id = nightly(spark, config)
    (row,) = Lake(spark, config.lake).read_table(RUNS).where(f"run_id = '{run_id}'").collect()
    print("RAN " + json.dumps([row["status"], row["content_hash"], lacking]))
"""


@pytest.mark.timeout(900)
def test_nights_on_hdfs_and_s3_give_the_lists_of_one_machine(
    spark: "SparkSession", hosts: Hosts, hdfs: str, s3: dict[str, str], alone: str
) -> None:
    lakes = [night_config(f"{place}/demo", f"{place}/lake") for place in (hdfs, "s3a://bucket")]
    script, configs = hosts.folder / "nights.py", hosts.folder / "nights.json"
    script.write_text(NIGHTS)
    configs.write_text(json.dumps(lakes))
    code = str(wheel(hosts.folder))
    done = hosts.run(hosts.submit("--py-files", code, str(script), str(configs), conf=s3, packages=S3A_PACKAGES))
    assert not done.returncode, output_of(done)
    ran = [json.loads(line.removeprefix("RAN ")) for line in done.stdout.splitlines() if line.startswith("RAN ")]
    assert ran == [["published", alone, []]] * 2
    assert FileSystem(spark, f"{hdfs}/lake/_reports/2026-03-01.1.html").exists()
    left = [one.name for one in FileSystem(spark, f"{hdfs}/lake/_index").list_children()]
    assert left == ["2026-03-01.1"]  # no folder of a step
    assert not [*Path(hosts.folder).glob("hdfs:*"), *Path(hosts.folder).glob("s3a:*")]
