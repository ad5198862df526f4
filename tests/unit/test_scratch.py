"""Kernels import and are cached wherever the code lies: out of an archive, with a home that cannot be written."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import sys
sys.path[:0] = [sys.argv[1]]
import numpy as np
from xlrec.kernels import places
found = places.places(np.ones((1, 1, 2)), np.full((1, 2), 2, np.uint8), np.array([1]), np.ones((1, 1)))
print(places.__file__, found.tolist())
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """What --py-files ships: the kernels alone, as nothing else is needed here."""
    file = tmp_path / "xlrec-0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as whole:
        for path in [*(ROOT / "xlrec").glob("*.py"), *(ROOT / "xlrec/kernels").glob("*.py")]:
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
    assert done.stdout.split(" ", 1) == [f"{archive}/xlrec/kernels/places.py", "[[1]]\n"], done.stderr
    kept = list(tmp_path.glob(f"xlrec-numba-{os.getuid()}/*/*.nbi"))
    assert kept
    assert kept[0].parent.parent.stat().st_mode & 0o077 == 0
    moment = [path.stat().st_mtime_ns for path in kept]
    assert ran(archive, tmp_path).returncode == 0
    assert [path.stat().st_mtime_ns for path in kept] == moment  # found, not compiled again
