"""Error of a failed command: one of ours for whatever a user can meet; anything else is a bug."""

import errno
import os
import re
from typing import Final

from xlrec import errors
from xlrec.errors import MachineError, XlrecError
from xlrec.runtime import machine

#: A disk that takes no more, as this process sees it; its words are how Spark or a worker writes it.
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def as_xlrec_error(error: Exception) -> XlrecError | None:
    """One of our errors for an exception that a user can meet, to print in one line; None for a bug."""
    if isinstance(error, XlrecError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return _without((error.name or "").partition(".")[0])
    if isinstance(error, OSError) and error.errno in _FULL:
        where = f" at {error.filename}" if error.filename else ""
        return MachineError(
            f"the driver's disk takes no more{where} ({os.strerror(error.errno).lower()}): free some, or name another "
            "folder in spark.scratch"
        )
    return _of_spark(str(error)) if type(error).__module__.split(".")[0] in ("pyspark", "py4j") else None


def _without(missing: str) -> XlrecError | None:
    if missing == "delta" and machine.is_submitted():
        from xlrec.runtime.session import delta_package

        return MachineError(f"Delta is missing: add `--packages {delta_package()}` to spark-submit")
    if missing not in ("pyspark", "py4j", "delta"):
        return None
    return MachineError(
        f"{missing} is missing, and this needs Spark: pip install 'xlrec[local]', or start it by spark-submit"
    )


def _of_spark(message: str) -> XlrecError | None:
    """An error of ours wrapped by a worker, a module that a worker lacks, or a full disk; else None."""
    wrapped = re.search(r"xlrec\.errors\.(\w+): (.+)", message)
    if wrapped and hasattr(errors, wrapped[1]):
        ours: XlrecError = getattr(errors, wrapped[1])(wrapped[2])
        return ours
    lacking = re.search(r"ModuleNotFoundError: No module named '(\w+)", message)
    if lacking:
        return MachineError(
            f"a worker lacks the module {lacking[1]}: install xlrec's dependencies on every machine; "
            "`xlrec doctor --config` says which lack what"
        )
    full = next((words for words in map(os.strerror, _FULL) if words in message), None)
    if full is None:
        return None
    return MachineError(
        f"a disk takes no more ({full.lower()}): free some, or name another folder in spark.local.dir for what "
        "executors keep; `xlrec plan` says how much a night needs"
    )
