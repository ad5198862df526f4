"""Settings of a JVM that xlrec starts itself: quiet, unless the user chose otherwise; no JVM starts here."""

from pathlib import Path

import pytest

from xlrec.config.models import SparkConfig
from xlrec.runtime import machine, session

OPTIONS = "SPARK_SUBMIT_OPTS"


def settings(environment: dict[str, str] | None = None, **conf: str) -> dict[str, str]:
    chosen = SparkConfig(conf={name.replace("_", "."): value for name, value in conf.items()})
    return session.quiet_settings(
        session.session_settings(chosen, "local[2]"), {} if environment is None else environment
    )


@pytest.fixture
def jars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Ivy's folder in an empty home, with all that Delta needs."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    folder = tmp_path / ".ivy2.5.2" / "jars"
    folder.mkdir(parents=True)
    for name in ("io.delta_delta-spark_4.1_2.13-4.4.0", "io.delta_delta-storage-4.4.0"):
        (folder / f"{name}.jar").write_text("jar")
    for name in ("api", "defaults", "unitycatalog"):
        (folder / f"io.delta_delta-kernel-{name}-4.4.0.jar").write_text("jar")
    for name in ("client", "hadoop"):
        (folder / f"io.unitycatalog_unitycatalog-{name}-0.6.0.jar").write_text("jar")
    (folder / "com.fasterxml.jackson.datatype_jackson-datatype-jdk8-2.13.5.jar").write_text("jar")
    return folder


def test_delta_is_named_by_its_jars_once_ivy_has_them_all(jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "delta_package", lambda: "io.delta:delta-spark_4.1_2.13:4.4.0")
    assert set(settings()["spark.jars"].split(",")) == {str(jar) for jar in jars.iterdir()}
    assert "spark.jars.packages" not in settings()
    (jars / "io.delta_delta-storage-4.4.0.jar").unlink()
    assert machine.delta_jars(session.delta_package()) == []
    assert settings()["spark.jars.packages"] == session.delta_package()


@pytest.mark.usefixtures("jars")
def test_packages_of_the_users_stay() -> None:
    chosen = settings(spark_jars_packages="io.delta:a:1,org.apache.hadoop:b:2")
    assert chosen["spark.jars.packages"] == "io.delta:a:1,org.apache.hadoop:b:2"
    assert "spark.jars" not in chosen


@pytest.mark.usefixtures("jars")
def test_log4j_gets_our_file_unless_the_user_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {OPTIONS: "-Xss4m"}
    assert "spark.log.level" not in settings(environment)
    ours, theirs = environment[OPTIONS].split()
    path = ours.removeprefix("-Dlog4j2.configurationFile=").strip("'")
    assert (theirs, Path(path).exists()) == ("-Xss4m", True)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    (tmp_path / "log4j2.properties").write_text("rootLogger.level = info")
    environment = {}
    assert settings(environment)["spark.log.level"] == "ERROR"
    assert not environment


@pytest.mark.usefixtures("jars")
def test_defaults_of_sparks_conf_folder_may_name_jars_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "spark.jars" in settings()
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    (tmp_path / "spark-defaults.conf").write_text("spark.jars a.jar")
    assert "spark.jars" not in settings()
