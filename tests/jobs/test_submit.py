"""Sessions by real spark-submit: what the user gave wins, ours suit the real master, and a cluster that is not there is
one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

from worlds.programs import BRIEF

from xlrec.runtime.session import _CARRIED_BY_SPARK, delta_package

ROOT = Path(__file__).resolve().parents[2]
SUBMIT = Path(sys.executable).with_name("spark-submit")
PROBE = """
import json
import sys
from xlrec.config.models import SparkConfig
from xlrec.errors import MachineError
from xlrec.runtime.session import start_session

try:
    spark = start_session(SparkConfig(executor_within_s=float(sys.argv[1])))
except MachineError as error:
    print("CONF " + json.dumps({"error": str(error)}))
else:
    found = dict(spark.sparkContext.getConf().getAll())
    print("CONF " + json.dumps(found | {"partitions": spark.conf.get("spark.sql.shuffle.partitions")}))
"""
DELTA = {"spark.jars.packages": delta_package(), "spark.jars.excludes": ",".join(_CARRIED_BY_SPARK)}


def submitted(
    folder: Path,
    *arguments: str,
    defaults: dict[str, str] | None = None,
    within: float = 120,
    python: str = sys.executable,
) -> dict[str, str]:
    """The session's settings, or its error where no task runs within so many seconds."""
    (folder / "probe.py").write_text(PROBE)
    lines = [f"{name} {value}" for name, value in (DELTA | (defaults or {})).items()]
    (folder / "spark-defaults.conf").write_text("\n".join(lines))
    environment = os.environ | BRIEF | {
        "SPARK_CONF_DIR": str(folder), "PYTHONPATH": str(ROOT), "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": python,
    }  # fmt: skip
    command = [str(SUBMIT), *arguments, str(folder / "probe.py"), str(within)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180, check=False)
    said = [line.removeprefix("CONF ") for line in done.stdout.splitlines() if line.startswith("CONF ")]
    assert said, done.stderr[-3000:]
    found: dict[str, str] = json.loads(said[-1])
    return found


def test_what_spark_submit_was_given_wins_over_ours(tmp_path: Path) -> None:
    by_option = {"spark.sql.shuffle.partitions": "77", "spark.ui.enabled": "true", "spark.ui.port": "0"}
    by_file = {"spark.driver.host": "127.0.0.2", "spark.sql.session.timeZone": "Asia/Tokyo"}
    options = [one for name, value in by_option.items() for one in ("--conf", f"{name}={value}")]
    found = submitted(tmp_path, "--master", "local[2]", *options, defaults=by_file)
    assert {name: found[name] for name in by_option | by_file} == by_option | by_file
    assert found["partitions"] == "77"
    assert found["spark.master"] == "local[2]"
    assert found["spark.sql.extensions"].endswith("DeltaSparkSessionExtension")


def test_on_a_cluster_nothing_of_the_local_settings_is_laid_over(tmp_path: Path) -> None:
    file = tmp_path / "mine.conf"
    given = DELTA | {"spark.executor.memory": "512m", "spark.sql.session.timeZone": "Asia/Tokyo"}
    file.write_text("\n".join(f"{name} {value}" for name, value in given.items()))
    found = submitted(tmp_path, "--master", "local-cluster[1,1,512]", "--properties-file", str(file))
    assert {name: found[name] for name in given} == given
    assert found["spark.driver.host"] != "127.0.0.1"
    assert "spark.ui.enabled" not in found
    assert int(found["partitions"]) < 20


def test_a_driver_that_no_executor_reaches_is_one_line(tmp_path: Path) -> None:
    nowhere = ("spark.driver.host=192.0.2.2", "spark.driver.bindAddress=127.0.0.1", "spark.executor.memory=512m")
    options = [one for conf in nowhere for one in ("--conf", conf)]
    said = submitted(tmp_path, "--master", "local-cluster[1,1,512]", *options, within=8)["error"]
    assert "no task has run on local-cluster" in said
    assert "192.0.2.2" in said
    assert "spark.driver.host=ADDRESS" in said


def test_workers_without_the_drivers_python_are_one_line_at_once(tmp_path: Path) -> None:
    options = ("--master", "local-cluster[1,1,512]", "--conf", "spark.executor.memory=512m")
    said = submitted(tmp_path, *options, python="/nowhere/python")["error"]
    assert "fails before xlrec's code runs" in said
    assert "/nowhere/python" in said
    assert "PYSPARK_PYTHON" in said


def test_spark_connect_is_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"SPARK_REMOTE": "sc://127.0.0.1", "PYTHONPATH": str(ROOT)}
    (tmp_path / "probe.py").write_text(PROBE)
    command = [sys.executable, str(tmp_path / "probe.py"), "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
    assert "this is Spark Connect" in done.stdout
    assert "spark-submit" in done.stdout
