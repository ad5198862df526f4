"""A reused Python worker between two tasks: no zip is read anew, and what was imported is not walked through again."""

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from xlrec.runtime import worker

#: What a worker does: a task that imports from a zip, the collection after it, the invalidation before the next.
TASKS = """
import gc, importlib, sys, zipimport
from pyspark import TaskContext
from xlrec.runtime.worker import keep_worker_light

keep_worker_light()
sys.path.insert(0, sys.argv[1])
import inside.one
reads = []
read = zipimport._read_directory
zipimport._read_directory = lambda archive: reads.append(archive) or read(archive)
TaskContext._taskContext = TaskContext() if sys.argv[2] == "busy" else None
gc.collect()
importlib.invalidate_caches()
import inside.two
print(len(reads), gc.get_freeze_count() > 10_000, inside.one.NAME + inside.two.NAME)
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "inside.zip"
    with ZipFile(path, "w") as file:
        for name, text in {"__init__": "", "one": "NAME = 'one'", "two": "NAME = 'two'"}.items():
            file.writestr(f"inside/{name}.py", text)
    return path


def tasks(archive: Path, state: str, environment: dict[str, str]) -> list[str]:
    command = [sys.executable, "-c", TASKS, str(archive), state]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_between_tasks_zips_are_forgotten_and_what_lives_is_frozen(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(worker.__file__).parents[1]))
    monkeypatch.delenv(worker.REUSED, raising=False)
    plain = dict(os.environ)
    reused = plain | {worker.REUSED: "1"}
    n_reads, frozen, names = tasks(archive, "idle", reused)
    assert (n_reads, frozen, names) == ("0", "True", "onetwo")
    assert tasks(archive, "busy", reused)[1] == "False"
    assert tasks(archive, "idle", plain)[1:] == ["False", "onetwo"]


def test_outside_of_a_worker_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks: list[Any] = []
    monkeypatch.setattr(gc, "callbacks", callbacks)
    monkeypatch.delenv(worker.REUSED, raising=False)
    worker.keep_worker_light()
    assert not callbacks
    monkeypatch.setenv(worker.REUSED, "1")
    worker.keep_worker_light()
    worker.keep_worker_light()
    assert len(callbacks) == 1
