"""Every command and every Python block of the README runs as it stands, in a folder as a new user has it."""

import re
import shlex
from pathlib import Path

import pytest
import typer

import xlrec.runtime.session
from xlrec.cli import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
USER = "user-00000011"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [
    line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.startswith("xlrec ")
]
#: The run comes first: the others read its lake.
COMMANDS.sort(key=lambda line: not line.startswith("xlrec run"))


class Shared:
    """The suite's session, which no command may stop."""

    def __init__(self, spark: object) -> None:
        self._spark = spark

    def __getattr__(self, name: str) -> object:
        return (lambda: None) if name == "stop" else getattr(self._spark, name)


@pytest.fixture(scope="module")
def folder(demo: Path, tmp_path_factory) -> Path:
    """The README's config with the demo world as its data."""
    folder = tmp_path_factory.mktemp("readme")
    text = next(text for text in blocks("yaml") if "lake:" in text)
    # Spark's working directory is the suite's.
    (folder / "my.yaml").write_text(text.replace(": lake", f": {folder}/lake").replace(": data/", f": {demo}/"))
    return folder


@pytest.fixture
def at_home(spark, folder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folder as the working directory, the suite's Spark, and a browser that only notes what it would open."""
    opened: list[str] = []
    monkeypatch.chdir(folder)
    monkeypatch.setattr(xlrec.runtime.session, "start_session", lambda *_, **__: Shared(spark))
    monkeypatch.setattr(typer, "launch", opened.append)
    return opened


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_runs(line: str, at_home: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = shlex.split(line.replace("--user ID", f"--user {USER}"))[1:]
    main(arguments)  # it would exit with the status of an error
    assert capsys.readouterr().out
    assert bool(at_home) == (arguments[0] == "report")


@pytest.mark.parametrize("code", blocks("python"))
@pytest.mark.usefixtures("at_home")
def test_every_way_to_read_the_lists_gives_the_live_run_whole(spark, folder, code: str) -> None:
    names: dict[str, object] = {"spark": spark}
    exec(code.replace('"lake', f'"{folder}/lake'), names)
    lists = names["lists"]
    rows = lists.count() if hasattr(lists, "sparkSession") else len(lists)  # type: ignore[attr-defined,arg-type]
    assert rows == xlrec.read_recommendations(spark, f"{folder}/lake").count() > 0
