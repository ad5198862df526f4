"""The doctor's round: checks of the machine, then of the session that a config starts."""

from rich.console import Console
from rich.text import Text

from xlrec.config.models import Config
from xlrec.errors import MachineError
from xlrec.runtime import doctor


def run(
    lake: str | None = None,
    config: Config | None = None,
    *,
    resolve: bool = True,
    console: Console | None = None,
) -> int:
    """Prints all checks as a table; the exit status: 0, or MachineError's where something required is missing.

    With the config of a night, whose lake counts, Spark is started as it says: lake, inputs and executors are tried.
    """
    console = console or Console()
    results = doctor.checks(config.lake if config else lake, resolve=resolve and config is None)
    console.print(doctor.checks_table(results))
    if config is not None and not doctor.failed_checks(results):
        tried = _try_session(config)
        console.print(doctor.checks_table(tried))
        results += tried
    lacking = ", ".join(doctor.failed_checks(results))
    verdict = f"xlrec cannot run here yet: {lacking}" if lacking else "xlrec can run here"
    console.print(Text(verdict, style="bold red" if lacking else "bold green"))
    return MachineError.status if lacking else 0


def _try_session(config: Config) -> list[doctor.Check]:
    from xlrec.pipeline import cluster
    from xlrec.runtime.session import start_session

    try:
        spark = start_session(config.spark)
    except MachineError as error:
        return [doctor.Check("Spark", False, str(error))]
    try:
        return cluster.checks(spark, config)
    finally:
        spark.stop()
