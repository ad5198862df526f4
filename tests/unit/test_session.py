"""Settings of a JVM that xlrec starts itself: quiet, unless the user chose otherwise; no JVM starts here."""

import json
from pathlib import Path

import pytest

from xlrec.config.models import SparkConfig
from xlrec.runtime import session

OPTIONS = "SPARK_SUBMIT_OPTS"


def settings(environment: dict[str, str] | None = None, **conf: str) -> dict[str, str]:
    chosen = SparkConfig(conf={name.replace("_", "."): value for name, value in conf.items()})
    return session.quiet_settings(
        session.session_settings(chosen, "local[2]"), {} if environment is None else environment
    )


@pytest.fixture(autouse=True)
def resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an earlier start keeps the paths of Delta's jars: an empty folder."""
    for name in ("SPARK_CONF_DIR", "SPARK_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(session, "own_folder", lambda: tmp_path)
    return session._jar_list()


def test_jars_that_an_earlier_start_resolved_are_named_unless_one_is_gone_or_the_user_has_own(
    resolved: Path, tmp_path: Path
) -> None:
    jars = [tmp_path / name for name in ("delta.jar", "storage.jar")]
    resolved.write_text(json.dumps([str(jar) for jar in jars]))
    assert "spark.jars" not in settings()
    for jar in jars:
        jar.touch()
    chosen = settings()
    assert chosen["spark.jars"] == ",".join(map(str, jars))
    assert not [name for name in chosen if name.startswith("spark.jars.")]
    assert settings(spark_jars="a.jar")["spark.jars"] == "a.jar"
    assert "spark.jars" not in settings(spark_jars_packages="io.delta:a:1")
    resolved.write_text("[torn")
    assert "spark.jars" not in settings()


def test_packages_of_the_users_stay() -> None:
    chosen = settings(spark_jars_packages="io.delta:a:1,org.apache.hadoop:b:2")
    assert chosen["spark.jars.packages"] == "io.delta:a:1,org.apache.hadoop:b:2"
    assert settings()["spark.jars.packages"] == session.delta_package()


def test_log4j_gets_our_file_unless_the_user_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPARK_CONF_DIR", "SPARK_HOME"):
        monkeypatch.delenv(name, raising=False)
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
