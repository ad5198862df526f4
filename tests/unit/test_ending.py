"""Whatever a user can meet ends a command in one line and a status; a bug keeps its traceback."""

import errno
import os

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from xlrec.cli.ending import as_xlrec_error
from xlrec.errors import ConfigError, EncoderError, LakeError, MachineError


def test_ours_is_told_as_it_is() -> None:
    ours = ConfigError("k is 0")
    assert as_xlrec_error(ours) is ours


@pytest.mark.parametrize("wrapper", [PySparkException, Py4JError])
def test_ours_out_of_a_worker_is_unwrapped(wrapper: type[Exception]) -> None:
    said = as_xlrec_error(wrapper("Job aborted\n  at x\nxlrec.errors.EncoderError: the model is gone\n  at y"))
    assert isinstance(said, EncoderError)
    assert str(said) == "the model is gone"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Traceback\nModuleNotFoundError: No module named 'numba.core'", "a worker lacks the module numba: install"),
        ("java.io.IOException: No space left on device\n at", "a disk takes no more (no space left on device)"),
        ("OSError: [Errno 30] Read-only file system: '/x'", "a disk takes no more (read-only file system)"),
    ],
)
def test_what_a_worker_lacks_is_told(said: str, expected: str) -> None:
    ours = as_xlrec_error(PySparkException(f"Job aborted\n {said}"))
    assert isinstance(ours, MachineError)
    assert expected in str(ours)


def test_ours_goes_before_what_caused_it() -> None:
    said = "xlrec.errors.LakeError: no index\ncaused by ModuleNotFoundError: No module named 'x'"
    assert isinstance(as_xlrec_error(PySparkException(said)), LakeError)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk_of_the_driver_names_the_file_and_the_key(number: int) -> None:
    ours = as_xlrec_error(OSError(number, os.strerror(number), "/scratch/index"))
    assert isinstance(ours, MachineError)
    assert "/scratch/index" in str(ours)
    assert "spark.scratch" in str(ours)


@pytest.mark.parametrize(
    "bug",
    [ValueError("x"), ModuleNotFoundError("no", name="left_pad"), OSError(errno.EIO, "io"), PySparkException("y")],
)
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    assert as_xlrec_error(bug) is None
