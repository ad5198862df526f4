"""The files of conf/deploy agree with the code: versions, coordinates, settings, jobs; no JVM starts here."""

import json
import re
import subprocess
import tomllib
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyspark
import pytest
import yaml

from xlrec.config.loading import validate_config
from xlrec.config.models import SparkConfig
from xlrec.runtime.doctor import PYTHON_VERSIONS, check_python
from xlrec.runtime.session import _CARRIED_BY_SPARK, _ONE_THREAD, SPARK_VERSIONS, delta_package, session_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "conf" / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
SHELL = sorted(DEPLOY.glob("*.sh"))
YAML = sorted([*DEPLOY.glob("*.yaml"), *DEPLOY.glob("*.yml")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
JARS = Path(pyspark.__path__[0]) / "jars"
#: Spark takes any name below these.
OPEN = ("spark.hadoop.", "spark.executorEnv.", "spark.yarn.appMasterEnv.")
#: Of files whose names look like settings, such as spark.py.
ENDINGS = (".sh", ".yml", ".yaml", ".md", ".py", ".txt", ".jar")


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def pinned() -> dict[str, str]:
    lines = (ROOT / "conf" / "constraints.txt").read_text().splitlines()
    return dict(line.lower().replace("_", "-").split("==") for line in lines if "==" in line)


@lru_cache
def known_to_spark() -> frozenset[str]:
    """Settings that stand in Spark's own classes of configuration."""
    found: set[bytes] = set()
    for jar in JARS.glob("spark-*.jar"):
        with zipfile.ZipFile(jar) as opened:
            for name in opened.namelist():
                if name.endswith(".class") and "onf" in "".join(name.split("/")[-2:]):
                    found |= set(re.findall(rb"spark\.[A-Za-z0-9_.]+", opened.read(name)))
    return frozenset(one.decode() for one in found)


def is_known(name: str) -> bool:
    ours = name.removeprefix("spark.") in SparkConfig.model_fields
    return ours or name.startswith(OPEN) or name in known_to_spark()


def set_in(text: str) -> list[str]:
    """Settings that a file gives a value: by --conf, or as a key; not in comments."""
    bare = re.sub(r"(?m)(^|\s)#.*", "", text)
    keys = re.findall(r"(?m)(?:--conf |^\s*|[{\"])(spark\.[\w.]+)\"?(?==\S|: )", bare)
    return [key for key in keys if not key.endswith(ENDINGS)]


def applications() -> dict[str, dict[str, Any]]:
    """The items of kubernetes.yaml by kind."""
    return {item["kind"]: item for item in yaml.safe_load(text_of("kubernetes.yaml"))["items"]}


def lacking(tree: dict[str, Any], wanted: list[str]) -> list[str]:
    """Those of the dotted paths that lead to nothing."""
    missing = []
    for path in wanted:
        node: Any = tree
        for part in path.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if node in (None, "", [], {}):
            missing.append(path)
    return missing


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_short_and_the_page_leads_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert f"(deploy/{path.name})" in (ROOT / "conf" / "README.md").read_text(encoding="utf-8")


def test_every_link_of_the_page_leads_to_a_file() -> None:
    links = re.findall(r"\]\((deploy/[^)]+)\)", (ROOT / "conf" / "README.md").read_text(encoding="utf-8"))
    assert {f"deploy/{path.name}" for path in FILES} == set(links)


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_every_script_parses_and_explains_each_option(path: Path) -> None:
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "set -euo pipefail" in path.read_text()
    assert unexplained(path.read_text(), r"  --") == []


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_a_script_passes_the_night_to_the_program_it_names(path: Path, tmp_path: Path) -> None:
    """The script runs, with programs that only print what they were given."""
    for program in ("spark-submit", "aws"):
        (tmp_path / program).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (tmp_path / program).chmod(0o755)
    (tmp_path / "environment.tar.gz").touch()  # nothing is packed
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYSPARK_PYTHON": "python3.11"}
    done = subprocess.run(
        ["bash", str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    given = re.split(r"[\n,]", done.stdout.replace("Args=[", "").replace("]", ""))
    job = next(index for index, one in enumerate(given) if one.endswith("jobs/nightly.py"))
    assert given[job + 1 : job + 3] == ["--config", "night.yaml"]
    assert given.index("--deploy-mode") < job
    assert delta_package() in given


def unexplained(text: str, start: str) -> list[str]:
    """Lines that start so, and have no comment on them or above them."""
    lines = text.splitlines()
    return [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if re.match(start, line) and " #" not in line and not above.lstrip().startswith("#")
    ]


def test_a_line_without_a_comment_is_seen() -> None:
    assert unexplained("# why\n  --a 1\n  --b 2  # why\n  --c 3", "  --") == ["  --c 3"]


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_every_number_and_setting_of_a_yaml_file_is_explained(path: Path) -> None:
    bare = unexplained(
        path.read_text(), r"\s+(?:spark\.[\w.]+|\w*(?:[rR]etr|[mM]emory|timeout|instances|workers|runs)\w*): \S"
    )
    assert bare == []


def test_every_instruction_of_the_image_is_explained() -> None:
    text = re.sub(r"\\\n", " ", text_of("Dockerfile"))
    bare = unexplained(text, r"(FROM|RUN|ENV|USER|WORKDIR|ENTRYPOINT|COPY --from)")
    assert bare == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_a_file_names_is_known_and_set_once(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = {name.rstrip(".") for name in re.findall(r"(?<![\w./-])spark\.[a-z][\w.]*\w", text)}
    assert {name for name in named if not name.endswith(ENDINGS) and not is_known(name)} == set()
    given = set_in(text)
    assert len(given) == len(set(given))


def test_settings_that_nobody_knows_or_that_stand_twice_are_seen() -> None:
    assert not is_known("spark.executor.memoryOverhed")
    assert is_known("spark.executor.memoryOverhead")
    assert is_known("spark.scratch")
    assert set_in("--conf spark.a.b=1  # spark.c.d: 2\n  spark.a.b: 3\n") == ["spark.a.b", "spark.a.b"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_coordinates_and_versions_are_the_codes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    hadoop = next(JARS.glob("hadoop-client-api-*.jar")).stem.rpartition("-")[2]
    tried = {delta_package(f"{spark}.0") for spark in SPARK_VERSIONS}
    assert set(re.findall(r"io\.delta:[\w.:-]+", text)) <= tried
    assert set(re.findall(r"hadoop-aws:([\d.]+)", text)) <= {hadoop}
    assert set(re.findall(r"pyspark==?([\d.]+\d)", text)) <= {pinned()["pyspark"]}
    assert set(re.findall(r"xlrec:(\d[\d.]*\d)", text)) <= {PROJECT["version"]}


def test_delta_comes_with_every_platform_that_has_none() -> None:
    for name in ("standalone.sh", "yarn.sh", "emr.sh", "Dockerfile", "airflow_dag.py"):
        assert delta_package() in text_of(name), name
    for name in ("databricks.yml", "fabric.md"):
        assert "io.delta" not in text_of(name), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_job_that_a_file_names_exists(path: Path) -> None:
    named = set(re.findall(r"jobs/\w+\.py", path.read_text(encoding="utf-8")))
    assert all((ROOT / name).is_file() for name in named)
    if path.name != "Dockerfile":
        assert named, "it starts no job"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_holds_a_machines_path_a_registrys_host_or_an_account(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"/home/\w|/Users/\w|/root/|index-url|\b\d{12}\b|AKIA\w+|pypi\.|repo1\.", text)


def test_the_image_has_the_versions_of_the_constraints_and_a_user_who_may_write() -> None:
    text, versions = text_of("Dockerfile"), pinned()
    assert re.findall(r"FROM apache/spark:([\d.]+)-scala2\.13-java(\d+)-ubuntu", text) == [(versions["pyspark"], "17")]
    (python,) = re.findall(r"FROM python:(\d+)\.(\d+)-", text)
    assert tuple(map(int, python)) in PYTHON_VERSIONS
    assert f"python{'.'.join(python)}/site-packages" in text
    assert f"pyspark {versions['pyspark']}" in text
    assert re.findall(r"--exclude-packages '([^']+)'", text) == [",".join(_CARRIED_BY_SPARK)]
    user = re.findall(r"^USER (\d+)", text, re.MULTILINE)
    assert user == [str(applications()["SparkApplication"]["spec"]["driver"]["podSecurityContext"]["runAsUser"])]
    owned = re.findall(r"install -d -o spark (.+)", text)[0].split()
    for variable in ("NUMBA_CACHE_DIR", "HF_HOME"):
        (place,) = re.findall(rf"{variable}=(\S+)", text)
        assert str(Path(place).parent) in owned
    assert "HF_HUB_OFFLINE=1" in text
    copied = " ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)).split()
    assert all((ROOT / name).exists() for name in copied)
    assert PROJECT["readme"] in copied


def test_the_applications_of_kubernetes_have_what_the_operator_wants() -> None:
    items = applications()
    assert {items[kind]["apiVersion"] for kind in items if "Spark" in kind} == {"sparkoperator.k8s.io/v1beta2"}
    wanted = [
        "type", "mode", "sparkVersion", "image", "mainApplicationFile", "arguments", "restartPolicy.type",
        "driver.serviceAccount", "driver.memory", "executor.instances", "executor.cores", "executor.memoryOverhead",
    ]  # fmt: skip
    night = items["SparkApplication"]["spec"]
    assert lacking(night, wanted) == []
    assert night["type"] == "Python"
    assert night["sparkVersion"] == pinned()["pyspark"]
    assert night["restartPolicy"]["type"] in {"Never", "OnFailure", "Always"}
    assert {"onFailureRetries", "onSubmissionFailureRetries"} <= set(night["restartPolicy"])  # OnFailure needs both
    assert all(night[part]["podSecurityContext"]["runAsNonRoot"] for part in ("driver", "executor"))
    schedule = items["ScheduledSparkApplication"]["spec"]
    assert schedule["template"] == night
    assert len(schedule["schedule"].split()) == 5
    assert schedule["concurrencyPolicy"] == "Forbid"


def test_the_config_of_kubernetes_loads_and_lies_where_the_driver_looks() -> None:
    items = applications()
    config, night = items["ConfigMap"], items["SparkApplication"]["spec"]
    (mounted,) = night["driver"]["configMaps"]
    (name, content), = config["data"].items()  # fmt: skip
    assert mounted["name"] == config["metadata"]["name"]
    assert night["arguments"] == ["--config", f"{mounted['path']}/{name}"]
    (volume,), (mount,) = night["volumes"], night["driver"]["volumeMounts"]
    assert volume["name"] == mount["name"]
    assert validate_config(yaml.safe_load(content)).spark.scratch == mount["mountPath"]


def test_the_bundle_of_databricks_runs_the_job_on_classic_compute() -> None:
    bundle = yaml.safe_load(text_of("databricks.yml"))
    job = bundle["resources"]["jobs"]["nightly"]
    (task,) = job["tasks"]
    wanted = [
        "new_cluster.spark_version",
        "new_cluster.node_type_id",
        "new_cluster.num_workers",
        "libraries",
        "task_key",
    ]
    assert lacking(bundle, ["bundle.name", "targets", "artifacts.xlrec.build"]) == []
    assert lacking(task, wanted) == []
    assert lacking(job["schedule"], ["quartz_cron_expression", "timezone_id"]) == []
    assert "environment_key" not in task  # that of serverless compute
    assert task["new_cluster"]["data_security_mode"] in {"SINGLE_USER", "DATA_SECURITY_MODE_DEDICATED"}
    assert (DEPLOY / task["spark_python_task"]["python_file"]).resolve() == ROOT / "jobs" / "nightly.py"
    assert task["spark_python_task"]["parameters"][0] == "--config"
    assert [(DEPLOY / path).resolve() for path in bundle["sync"]["paths"]] == [ROOT / "jobs"]
    assert (DEPLOY / bundle["artifacts"]["xlrec"]["path"]).resolve() == ROOT


def test_a_session_that_databricks_started_has_the_settings_of_ours() -> None:
    (task,) = yaml.safe_load(text_of("databricks.yml"))["resources"]["jobs"]["nightly"]["tasks"]
    ours = session_settings(SparkConfig(), "spark://host:7077")
    for name in ("spark.sql.session.timeZone", "spark.sql.ansi.enabled"):
        assert task["new_cluster"]["spark_conf"][name] == ours[name]
    assert task["new_cluster"]["spark_env_vars"] == dict.fromkeys(_ONE_THREAD, "1")


def test_what_is_said_of_fabric_holds_and_its_definition_is_whole() -> None:
    text = text_of("fabric.md")
    (definition,) = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert set(definition) == {
        "executableFile", "language", "mainClass", "commandLineArguments", "defaultLakehouseArtifactId",
        "additionalLakehouseIds", "environmentArtifactId", "additionalLibraryUris", "retryPolicy",
    }  # fmt: skip
    assert definition["commandLineArguments"].startswith("--config ")
    (config,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert validate_config(yaml.safe_load(config)).lake.startswith("abfss://")
    assert f"{check_python().fix}`" in text
    assert (3, 13) not in PYTHON_VERSIONS, (
        "xlrec runs on Fabric's Python now: fabric.md and conf/README.md say it cannot"
    )
