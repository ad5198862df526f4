"""What Spark is asked for, by the master and the settings of its executors; the script that tells it of GPUs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext
from pyspark.resource import ResourceProfile

from xlrec.runtime.devices import gpu_profile

ROOT = Path(__file__).resolve().parents[2]
CLUSTER, GPUS = "spark://host:7077", {"spark.executor.resource.gpu.amount": "2"}


class _Conf(dict[str, str]):
    def contains(self, name: str) -> bool:
        return name in self


def asked(monkeypatch: pytest.MonkeyPatch, master: str, conf: dict[str, str], device: str) -> ResourceProfile | None:
    monkeypatch.setattr(SparkContext, "_active_spark_context", None)  # of the profile: what is asked, not the JVM's
    context = type("Context", (), {"master": master, "getConf": lambda _: _Conf(conf)})()
    session: Any = type("Session", (), {"sparkContext": context})()
    return gpu_profile(session, device)


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize("master", [CLUSTER, "yarn", "k8s://https://host:6443"])
def test_a_whole_gpu_is_asked_for_each_task_where_executors_have_some(
    monkeypatch: pytest.MonkeyPatch, master: str, device: str
) -> None:
    profile = asked(monkeypatch, master, GPUS, device)
    assert profile is not None
    assert {name: request.amount for name, request in profile.taskResources.items()} == {"gpu": 1.0}
    assert profile.executorResources == {}  # the executors that run already


@pytest.mark.parametrize(
    ("master", "conf", "device"),
    [
        (CLUSTER, GPUS, "cpu"),
        (CLUSTER, {}, "auto"),
        (CLUSTER, {"spark.executor.resource.gpu.amount": "0"}, "cuda"),
        (CLUSTER, GPUS | {"spark.task.resource.gpu.amount": "0.5"}, "auto"),  # the user shares it out
        ("local[2]", GPUS, "auto"),  # has no executors, and Spark refuses the profile
    ],
)
def test_nothing_is_asked_where_it_cannot_be_had_or_is_given_anyway(
    monkeypatch: pytest.MonkeyPatch, master: str, conf: dict[str, str], device: str
) -> None:
    assert asked(monkeypatch, master, conf, device) is None


@pytest.mark.parametrize(("said", "addresses"), [("0\n1\n", ["0", "1"]), ("", [])])
def test_the_discovery_script_tells_spark_of_the_gpus(tmp_path: Path, said: str, addresses: list[str]) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    tool.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(ROOT / "conf/gpus.sh")], capture_output=True, text=True, check=True, env=environment
    )
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": addresses}
