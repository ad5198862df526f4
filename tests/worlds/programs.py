"""The programs run in this process: as from a shell, without the seconds that a new Python takes to import them."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import xlrec.runtime.session
from xlrec.cli import main
from xlrec.pipeline import adapting

ROOT = Path(__file__).resolve().parents[2]
#: Environment of programs whose JVM lives for seconds: the optimising compiler would cost more than it saves.
BRIEF = {"SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1"}


class Ended(NamedTuple):
    """Exit status and output of a program."""

    status: int
    out: str
    err: str


class Programs:
    """Runs programs that must end before Spark starts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        for module in (xlrec.runtime.session, adapting):
            monkeypatch.setattr(module, "start_session", lambda *_: pytest.fail("Spark was started"))

    def command(self, *arguments: str) -> Ended:
        """`xlrec ARGUMENTS`."""
        return self._ended(lambda: main(arguments))

    def job(self, name: str, *arguments: str) -> Ended:
        """`python jobs/NAME ARGUMENTS`."""
        path = str(ROOT / "jobs" / name)
        self._monkeypatch.setattr(sys, "argv", [path, *arguments])
        return self._ended(lambda: runpy.run_path(path, run_name="__main__"))

    def _ended(self, run: Callable[[], object]) -> Ended:
        status = 0
        try:
            run()
        except SystemExit as end:
            status = int(end.code or 0)
        return Ended(status, *self._capsys.readouterr())
