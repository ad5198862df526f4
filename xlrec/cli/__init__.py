"""The `xlrec` command: `xlrec --help` lists what it does; every failure is one line on stderr and an exit status."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; exits with the status of the error (`xlrec.errors`), 2 for wrong usage.

    Ctrl-C ends it with 130, SIGTERM with 143; both free the lake, and readers keep the last release.
    """
    from typer.main import get_command

    from xlrec.cli.app import app
    from xlrec.errors import XlrecError

    terminated = list[int]()

    def end(number: int, _: object) -> None:
        terminated.append(number)
        logging.disable()  # py4j would tell where it was
        raise KeyboardInterrupt

    with suppress(ValueError):  # not the main thread: who embeds us handles signals
        signal.signal(signal.SIGTERM, end)
    try:
        get_command(app).main(list(sys.argv[1:] if arguments is None else arguments), prog_name="xlrec")
    except XlrecError as error:
        print(f"xlrec: {error.code}: {error}", file=sys.stderr)  # noqa: T201  # the command line's own error line
        sys.exit(error.status)
    except ModuleNotFoundError as error:
        _leave_without(error)
    except Exception as error:
        if type(error).__module__.split(".")[0] != "pyspark":
            raise
        _leave(error)  # one of ours, raised in a worker, comes wrapped
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            print("xlrec: interrupted; readers keep the last release", file=sys.stderr)  # noqa: T201
        if ended.code:  # 0: a platform that runs `main` itself may take any SystemExit for a failure
            raise SystemExit(_TERMINATED if terminated else ended.code) from ended


def _leave_without(error: ModuleNotFoundError) -> None:
    """Exits with the way to get Spark or Delta where one of them is missing; any other is a bug."""
    from xlrec.errors import MachineError

    missing = (error.name or "").partition(".")[0]
    if missing not in ("pyspark", "py4j", "delta"):
        raise error
    line = f"{missing} is missing, and this needs Spark: pip install 'xlrec[local]', or start it by spark-submit"
    if missing == "delta" and "PYSPARK_GATEWAY_PORT" in os.environ:
        from xlrec.session import delta_package

        line = f"Delta is missing: add `--packages {delta_package()}` to spark-submit"
    print(f"xlrec: {MachineError.code}: {line}", file=sys.stderr)  # noqa: T201
    sys.exit(MachineError.status)


def _leave(error: Exception) -> None:
    """Exits as the error of ours that a worker raised would; any other is a bug and keeps its traceback."""
    import re

    from xlrec import errors

    found = re.search(r"xlrec\.errors\.(\w+): (.+)", str(error))
    kind = getattr(errors, found[1], None) if found else None
    lacking = re.search(r"ModuleNotFoundError: No module named '(\w+)", str(error))
    if lacking and kind is None:
        line = f"a worker lacks the module {lacking[1]}: install xlrec's dependencies on every machine; "
        line += "`xlrec doctor --config` says which lack what"
        print(f"xlrec: {errors.MachineError.code}: {line}", file=sys.stderr)  # noqa: T201
        sys.exit(errors.MachineError.status)
    if found is None or kind is None:
        raise error
    print(f"xlrec: {kind.code}: {found[2]}", file=sys.stderr)  # noqa: T201
    sys.exit(kind.status)
