"""Nights on hosts that share no disk, the lake on HDFS: executors, partitions, machines that die."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hosts import ROOT, Hosts
from nights import output_of, written
from worlds.demo import night_config, run_row

from xlrec.errors import LakeError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]  # `make test-cluster`
NIGHT = str(ROOT / "jobs/nightly.py")
RUN = "2026-03-01.1"


def test_a_lake_in_a_folder_that_workers_do_not_see_is_one_line(hosts: Hosts, hdfs: str) -> None:
    config = written(hosts, night_config(f"{hdfs}/demo", str(hosts.folder / "lake")))
    done = hosts.run(hosts.submit(NIGHT, "--config", config))
    assert done.returncode == LakeError.status
    line = output_of(done).splitlines()[-1]
    assert "do not see the lake's folder" in line
    assert f"{hosts.network}." in line or "workers on" in line


def test_a_python_that_only_the_workers_have_comes_by_archives(
    spark: "SparkSession", hosts: Hosts, hdfs: str, alone: str
) -> None:
    """As venv-pack makes it; here its site-packages are those of this environment, which is too large to be packed."""
    packed = hosts.folder / "packed"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--copies", str(packed)], check=True)
    (site,) = packed.glob("lib/python3*/site-packages")
    (site / "theirs.pth").write_text(sysconfig.get_path("purelib"))
    archive = shutil.make_archive(str(packed), "gztar", packed)
    lake = f"{hdfs}/lake-archives"
    config = written(hosts, night_config(f"{hdfs}/demo", lake))
    python = {"spark.pyspark.python": "./environment/bin/python", "spark.pyspark.driver.python": sys.executable}
    command = hosts.submit("--archives", f"{archive}#environment", NIGHT, "--config", config, conf=python)
    done = hosts.run(command, unset=("PYSPARK_PYTHON",))
    assert not done.returncode, output_of(done)
    assert run_row(spark, lake, RUN)["content_hash"] == alone


@pytest.mark.parametrize(("workers", "partitions"), [(1, 3), (3, 7)])
def test_neither_executors_nor_partitions_change_a_list(
    spark: "SparkSession", hosts: Hosts, hdfs: str, alone: str, workers: int, partitions: int
) -> None:
    if workers == 3 and len(hosts.workers) < 3:
        hosts.start_worker(3)
    config, lake = written(hosts, night_config(f"{hdfs}/demo", f"{hdfs}/lake-{workers}")), f"{hdfs}/lake-{workers}"
    conf = {"spark.cores.max": str(workers), "spark.sql.shuffle.partitions": str(partitions)}
    done = hosts.run(hosts.submit(NIGHT, "--config", config, conf=conf))
    assert not done.returncode, output_of(done)
    assert run_row(spark, lake, RUN)["content_hash"] == alone


@pytest.mark.parametrize("stage", ["embed", "train", "recommend"])
def test_a_worker_machine_that_dies_in_a_stage_changes_no_list(
    spark: "SparkSession", hosts: Hosts, hdfs: str, alone: str, stage: str
) -> None:
    number = max(int(name.removeprefix("worker")) for name in hosts.workers) + 1
    doomed, lake = hosts.start_worker(number), f"{hdfs}/lake-{stage}"
    config, output = written(hosts, night_config(f"{hdfs}/demo", lake)), hosts.folder / f"{stage}.out"

    def kill() -> None:
        while not (output.exists() and f"\n{stage}" in output.read_text(errors="replace")):
            time.sleep(0.2)
        time.sleep(2)
        hosts.kill_worker(doomed)

    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    done = hosts.run(hosts.submit(NIGHT, "--config", config), output=output)
    killing.join(1)
    assert not killing.is_alive()
    assert not done.returncode, output_of(done)
    assert run_row(spark, lake, RUN)["content_hash"] == alone


def test_a_night_whose_driver_dies_goes_on_from_another_host_within_two_minutes(
    spark: "SparkSession", hosts: Hosts, hdfs: str, alone: str
) -> None:
    if not hosts.own_network:
        pytest.skip("a host of another name needs root")
    lake = f"{hdfs}/lake-host"
    config = written(hosts, night_config(f"{hdfs}/demo", lake))
    command = hosts.submit(NIGHT, "--config", config)
    elsewhere = ["unshare", "--uts", "bash", "-c", 'hostname elsewhere; exec "$@"', "bash", *command]
    doomed = hosts.start("elsewhere", elsewhere, hosts.driver)
    hosts.wait_for(lambda: "\ntrain" in hosts.log("elsewhere"), "train", within=600)
    os.killpg(doomed.pid, signal.SIGKILL)
    doomed.wait()
    began = datetime.now(UTC)
    done = hosts.run(command)
    assert not done.returncode, output_of(done)
    run = run_row(spark, lake, "2026-03-01.2")
    assert run["content_hash"] == alone
    assert (run["started_at"].replace(tzinfo=UTC) - began).total_seconds() < 120
    assert run_row(spark, lake, RUN)["status"] == "abandoned"
