"""The `xlrec` command; every failure is one line on stderr and an exit status. `xlrec --help` lists the commands."""

import logging
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
    from xlrec.cli.ending import as_xlrec_error

    terminated = list[int]()

    def end(number: int, _: object) -> None:
        terminated.append(number)
        logging.disable()  # py4j would log a traceback
        raise KeyboardInterrupt

    with suppress(ValueError):  # not the main thread: the embedding program handles signals
        signal.signal(signal.SIGTERM, end)
    try:
        get_command(app).main(list(sys.argv[1:] if arguments is None else arguments), prog_name="xlrec")
    except Exception as error:
        ours = as_xlrec_error(error)
        if ours is None:
            raise
        print(f"xlrec: {ours.code}: {ours}", file=sys.stderr)  # noqa: T201  # the command line's own error line
        sys.exit(ours.status)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            print("xlrec: interrupted; readers keep the last release", file=sys.stderr)  # noqa: T201
        if ended.code:  # 0: a platform that runs `main` itself may take any SystemExit for a failure
            raise SystemExit(_TERMINATED if terminated else ended.code) from ended
