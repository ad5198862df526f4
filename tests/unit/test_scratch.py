"""Kernels import and are cached wherever the code lies: out of an archive, with a home that cannot be written."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import pytest

from xlrec.runtime import scratch

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import sys
sys.path[:0] = [sys.argv[1]]
import numpy as np
from xlrec.kernels.evaluation import places
found = places.wanted_places(np.ones((1, 1, 2)), np.full((1, 2), 2, np.uint8), np.array([1]), np.ones((1, 1)))
print(places.__file__, found.tolist())
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """What --py-files ships: the kernels and the runtime alone, as nothing else is needed here."""
    file = tmp_path / "xlrec-0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as whole:
        for pattern in ("*.py", "runtime/*.py", "kernels/**/*.py"):
            for path in (ROOT / "xlrec").glob(pattern):
                whole.write(path, path.relative_to(ROOT))
    return file


def ran(archive: Path, temporary: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {
        "HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody", "TMPDIR": str(temporary),
        "PYTHONPATH": sysconfig.get_path("purelib"),
    }  # fmt: skip
    command = [sys.executable, "-S", "-c", CODE, str(archive)]  # -S: no checkout that .pth files name
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=temporary, check=False)


def test_an_archive_with_a_home_that_cannot_be_written(archive: Path, tmp_path: Path) -> None:
    done = ran(archive, tmp_path)
    assert done.stdout.split(" ", 1) == [f"{archive}/xlrec/kernels/evaluation/places.py", "[[1]]\n"], done.stderr
    own = tmp_path / f"xlrec-{os.getuid()}"
    kept = list(own.glob("numba/*/*.nbi"))
    assert kept
    assert own.stat().st_mode & 0o077 == 0
    moment = [path.stat().st_mtime_ns for path in kept]
    other = tmp_path / "application-2" / "xlrec.zip"  # of the same content, as the next night ships it
    other.parent.mkdir()
    shutil.copyfile(archive, other)
    assert ran(other, tmp_path).returncode == 0
    assert [path.stat().st_mtime_ns for path in own.glob("numba/*/*.nbi")] == moment  # found, not compiled again


def test_a_folder_of_a_package_in_an_archive_lies_on_the_disk_once_for_all_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = []
    for name in ("one.whl", "other.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as whole:
            for inner in ("pack/data/a.txt", "pack/data/below/b.txt", "pack/code.py"):
                whole.writestr(zipfile.ZipInfo(inner), inner)
        found.append(scratch.package_folder(tmp_path / name / "pack" / "data"))
    assert found[0] == found[1]
    seen = {path.relative_to(found[0]).as_posix() for path in found[0].rglob("*") if path.is_file()}
    assert seen == {"a.txt", "below/b.txt"}
    assert scratch.package_folder(found[0]) == found[0]  # no archive


def test_workers_get_the_package_as_it_runs_here_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    archive, again = (scratch.package_archive(folder) for folder in (tmp_path, tmp_path / "again"))
    assert archive.read_bytes() == again.read_bytes()
    names = set(zipfile.ZipFile(archive).namelist())
    assert {"xlrec/__init__.py", "xlrec/encoders/default/weights.safetensors"} <= names
    assert not [name for name in names if name.endswith(".pyc")]
    code = "import xlrec.encoders as e; print(e.__file__, len(e.load('default').encode(['a'])[0]))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(archive), sysconfig.get_path("purelib")])}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.startswith(f"{archive}/xlrec/encoders"), done.stderr
    assert scratch.content_of(archive) in {path.name for path in (tmp_path / f"xlrec-{os.getuid()}").iterdir()}
