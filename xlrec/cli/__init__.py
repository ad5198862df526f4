"""The `xlrec` command: `xlrec --help` lists what it does; every failure is one line on stderr and an exit status."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0, or the status of the error (`xlrec.errors`), 2 for wrong usage, 130 for Ctrl-C."""
    from typer.main import get_command

    from xlrec.cli.app import app
    from xlrec.errors import MachineError, XlrecError

    try:
        get_command(app).main(list(sys.argv[1:] if arguments is None else arguments), prog_name="xlrec")
    except XlrecError as error:
        print(f"xlrec: {error.code}: {error}", file=sys.stderr)  # noqa: T201  # the command line's own error line
        sys.exit(error.status)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("pyspark", "py4j", "delta"):
            raise
        line = f"{missing} is missing, and this needs Spark: pip install 'xlrec[local]', or start it by spark-submit"
        print(f"xlrec: {MachineError.code}: {line}", file=sys.stderr)  # noqa: T201
        sys.exit(MachineError.status)
    except Exception as error:
        if type(error).__module__.split(".")[0] != "pyspark":
            raise
        _leave(error)  # one of ours, raised in a worker, comes wrapped
    except KeyboardInterrupt:
        print("xlrec: interrupted; readers keep the last release", file=sys.stderr)  # noqa: T201
        sys.exit(130)


def _leave(error: Exception) -> None:
    """Exits as the error of ours that a worker raised would; any other is a bug and keeps its traceback."""
    import re

    from xlrec import errors

    found = re.search(r"xlrec\.errors\.(\w+): (.+)", str(error))
    kind = getattr(errors, found[1], None) if found else None
    if found is None or kind is None:
        raise error
    print(f"xlrec: {kind.code}: {found[2]}", file=sys.stderr)  # noqa: T201
    sys.exit(kind.status)
