"""The doctor sees what is missing and says what to do, on machines that the tests make up."""

import io
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from xlrec.errors import MachineError
from xlrec.pipeline.doctor import run
from xlrec.runtime import doctor, machine


def program(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def java(folder: Path, version: str) -> Path:
    return program(folder, "java", f"echo 'openjdk version \"{version}\" 2025-04-15' >&2")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAVA_HOME", "PYSPARK_PYTHON", "PYSPARK_GATEWAY_PORT", "SPARK_LOCAL_DIRS", "SPARK_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_first_java_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java(tmp_path, "17.0.15")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    found = doctor.check_java()
    assert found.ok
    assert "17.0.15" in found.seen
    assert str(tmp_path) in found.seen


def test_java_home_goes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java(tmp_path / "path", "17.0.1")
    java(tmp_path / "home" / "bin", "11.0.2")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}/bin")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    found = doctor.check_java()
    assert not found.ok
    assert "11.0.2" in found.seen
    assert "JAVA_HOME" in found.seen
    assert "17" in found.fix


def test_a_java_home_that_leads_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    found = doctor.check_java()
    assert not found.ok
    assert "does not run" in found.seen
    assert "correct JAVA_HOME" in found.fix


@pytest.mark.parametrize(
    ("said", "major"), [("17.0.15", 17), ("1.8.0_402", 8), ("21", 21), ("26-ea", 26), (None, None)]
)
def test_the_major_version_of_java_is_read(said: str | None, major: int | None) -> None:
    assert machine.Java("java", said, False).major == major


def test_no_java_is_one_line_that_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="no java on PATH") as error:
        doctor.require_machine(str(tmp_path))
    assert "\n" not in str(error.value)
    assert "apt install" in str(error.value)


def test_a_jvm_that_runs_already_needs_no_java_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    doctor.require_machine(str(tmp_path))


def test_workers_with_another_python_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = program(tmp_path, "python", 'echo noise; echo \'{"version": [3, 9, 2], "missing": []}\'')
    monkeypatch.setenv("PYSPARK_PYTHON", str(other))
    found = doctor.check_workers()
    assert not found.ok
    assert "3.9.2" in found.seen
    assert "unset PYSPARK_PYTHON" in found.fix


def test_workers_that_lack_a_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    found = doctor.check_workers(("json", "no_such_package"))
    assert not found.ok
    assert found.seen.endswith("without no_such_package")


def test_workers_whose_python_does_not_run_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", str(tmp_path / "gone"))
    assert "does not run" in doctor.check_workers().seen


def test_another_python_than_the_allowed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PYTHON_VERSIONS", ((2, 7),))
    found = doctor.check_python()
    assert not found.ok
    assert found.fix == "run xlrec with Python 2.7"


def test_a_lake_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = doctor.check_writable("lake", str(tmp_path / "file" / "lake"))
    assert not found.ok
    assert "is a file" in found.seen
    with pytest.raises(MachineError, match="lake: cannot write to"):
        doctor.require_machine(str(tmp_path / "file" / "lake"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "permission denied" in doctor.check_writable("lake", str(tmp_path)).seen


def test_a_lake_that_is_not_there_yet_is_tried_where_it_would_be_made(tmp_path: Path) -> None:
    assert doctor.check_writable("lake", f"file://{tmp_path}/a/b").ok
    assert not (tmp_path / "a").exists()


def test_remote_storage_is_left_to_spark() -> None:
    assert "remote" in doctor.check_writable("lake", "s3a://bucket/lake").seen
    assert doctor.check_disk("s3a://bucket/lake").seen


def test_versions_that_were_not_tried_together_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "installed_version", lambda name: {"pyspark": "3.5.1", "delta-spark": "3.2.0"}[name])
    found = doctor.check_versions()
    assert not found.ok
    assert found.required
    assert "3.5.1" in found.seen


def test_delta_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "installed_version", {"pyspark": "4.1.4"}.get)
    assert doctor.check_versions().seen == "delta-spark is not installed"


def test_a_jar_is_found_in_ivys_cache_and_an_empty_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    folder = tmp_path / ".ivy2.5.2" / "cache" / "io.delta" / "delta-spark_4.1_2.13" / "jars"
    folder.mkdir(parents=True)
    jar = folder / "delta-spark_4.1_2.13-4.4.0.jar"
    jar.touch()
    assert machine.delta_jar("io.delta:delta-spark_4.1_2.13:4.4.0") is None
    jar.write_bytes(b"jar")
    assert machine.delta_jar("io.delta:delta-spark_4.1_2.13:4.4.0") == jar


def test_jars_that_cannot_be_fetched_are_a_failure_with_sparks_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "delta_jar", lambda _: None)
    monkeypatch.setattr(doctor, "_start_spark", lambda: "unresolved dependency")
    assert doctor.check_delta_jars().ok
    found = doctor.check_delta_jars(resolve=True)
    assert not found.ok
    assert "unresolved dependency" in found.seen


def test_the_doctor_prints_every_check_and_its_exit_status_tells_the_required_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        doctor.Check("Java", False, "none", "install [Java] 17"),
        doctor.Check("GPU", False, "none", required=False),
    ]
    monkeypatch.setattr(doctor, "checks", lambda *_, **__: found)
    console = Console(file=io.StringIO(), width=100)
    assert run(console=console) == 4
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "FAILED" in shown
    assert "install [Java] 17" in shown
    assert "cannot run here yet: Java" in shown
    found[0] = doctor.Check("Java", True, "Java 17")
    assert run(console=console) == 0


def test_this_machine_is_described() -> None:
    assert machine.memory_bytes() > 0
    assert machine.cores() >= 1
    assert set(machine.cpu_features()) <= set(machine.CPU_FEATURES)
    assert doctor.check_cores().ok
