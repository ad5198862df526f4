"""`xlrec doctor --config` tries what a night asks of its session, and says what is missing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xlrec.config.loading import validate_config
from xlrec.errors import LakeError
from xlrec.pipeline import cluster
from xlrec.runtime.cluster import error_line, missing_protection
from xlrec.runtime.hadoop import FileSystem
from xlrec.runtime.machine import Executor

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_everything_that_a_night_asks_is_tried(spark: "SparkSession", tmp_path: Path) -> None:
    for name in ("catalog", "interactions"):
        spark.range(3).write.parquet(str(tmp_path / name))
    inputs = {name: str(tmp_path / name) for name in ("catalog", "interactions")}
    config = validate_config(
        {"lake": str(tmp_path / "lake"), "inputs": inputs | {"users": str(tmp_path / "gone")}, "k": 3}
    )
    found = {check.name: check for check in cluster.checks(spark, config)}
    assert {name for name, check in found.items() if not check.ok} == {"input users"}
    assert "inputs.users" in found["input users"].seen
    assert "tasks ran on 1 of 1" in found["executors"].seen
    assert "written, listed, read and deleted" in found["lake"].seen
    assert [name for name in found if name.startswith("executor on")]
    assert not list((tmp_path / "lake").iterdir())


def test_an_executor_without_a_module_is_named(spark: "SparkSession", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WORKER_MODULES", ("numpy", "no_such_module"))
    _, executor = cluster.check_executors(spark, encoding=False)
    assert not executor.ok
    assert "without no_such_module" in executor.seen
    assert "install xlrec's dependencies there" in executor.fix


def test_a_lake_whose_file_system_is_missing_names_the_option_that_brings_it(spark: "SparkSession") -> None:
    found = cluster.check_lake(spark, "abfss://box@account.dfs.core.windows.net/lake")
    assert not found.ok
    assert found.fix.startswith("give spark-submit --packages org.apache.hadoop:hadoop-azure:3.")
    found = cluster.check_lake(spark, "nosuch://bucket/lake")
    assert "jars are missing" in found.fix
    with pytest.raises(LakeError, match=r"--packages org\.apache\.hadoop:hadoop-aws:3\."):
        FileSystem(spark, "s3a://bucket/lake")


def test_a_file_that_is_not_listed_after_it_was_written_fails(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileSystem, "list_children", lambda _: [])
    found = cluster.check_lake(spark, str(tmp_path / "lake"))
    assert not found.ok
    assert "lists what was just written" in found.fix


class _Conf(dict[str, str]):
    def contains(self, name: str) -> bool:
        return name in self


class _Session:
    def __init__(self, master: str, **given: str) -> None:
        conf = _Conf({name.replace("_", "."): value for name, value in given.items()})
        self.sparkContext = type("Context", (), {"master": master, "getConf": lambda _: conf})()


def test_a_cluster_whose_processes_do_not_know_each_other_is_told_of() -> None:
    def lacking(master: str, **given: str) -> list[str] | None:
        session: Any = _Session(master, **given)
        return missing_protection(session)

    assert lacking("local[2]") is None
    assert lacking("yarn") == ["spark.authenticate", "spark.network.crypto.enabled"]
    assert lacking("spark://host:7077", spark_authenticate="true") == ["spark.network.crypto.enabled"]
    assert lacking("yarn", spark_authenticate="true", spark_ssl_rpc_enabled="true") == []
    assert lacking("spark://h:1", **{"spark.databricks.clusterUsageTags.clusterId": "x"}) is None


def test_of_an_error_that_line_is_told_which_tells_most() -> None:
    long = 'Job aborted\n at x\njava.io.IOException: Cannot run program "python9": error=2, No such file\n at y'
    assert error_line(ValueError(long)).startswith('java.io.IOException: Cannot run program "python9"')
    assert error_line(ValueError("")) == "ValueError"


def test_gpus_that_no_task_gets_are_told_of() -> None:
    seen = Executor("host", "/local", (3, 11, 7), (), 100 << 30, 64 << 30, ("NVIDIA L4",))
    idle, used = (cluster._executor(seen, gpus_given=given) for given in (False, True))
    assert used.ok
    assert (idle.ok, idle.required) == (False, False)
    assert "spark.executor.resource.gpu.amount" in idle.fix
