"""Commands that write the lake: the whole night, its stages alone, release and rollback."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import rich
import typer

from xlrec.cli.options import ConfigFile, Overrides, config_session

if TYPE_CHECKING:
    from xlrec.config.models import Config
    from xlrec.lake.releases import Ledger

_STAGES: Final = {
    "prepare": "Inputs into texts, items, events and users; bad rows into rejects.",
    "translate": "Texts into the pivot language, where `unify` is pivot or both; those that the cache holds are "
    "not done again.",
    "embed": "Vectors of the texts that the cache does not hold yet.",
    "train": "Co-visitation, popularity and the item index that workers map into memory.",
    "recommend": "Every user's ranked list from the newest trained model; not released yet.",
    "publish": "Audits the newest lists that `recommend` wrote and releases them in one commit.",
}


def run(
    config: ConfigFile = None,
    overrides: Overrides = None,
    evaluate: Annotated[bool, typer.Option(help="Also split by time and score, with baselines.")] = False,
) -> None:
    """The nightly run: prepare, embed, train, retrieve, rank, audit, publish; then the report.

    Readers see the new lists in one commit at the end, or keep the old ones. Example:

        xlrec run --config conf/demo.yaml --set k=20
    """
    from xlrec.pipeline.night import nightly

    with config_session(config, overrides) as (spark, settings):
        nightly(spark, settings, evaluating=evaluate, config_file=config)


def evaluate(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Splits by time, runs the same stages on the history and scores lists, sources and baselines."""
    from xlrec.pipeline.evaluation import evaluate as score

    with config_session(config, overrides) as (spark, settings):
        score(spark, settings, config_file=config)


def rollback(
    config: ConfigFile = None,
    overrides: Overrides = None,
    run: Annotated[str | None, typer.Option(help="Run to go back to; default: the one before the live run.")] = None,
    note: Annotated[str | None, typer.Option(help="Why; kept in _releases.")] = None,
) -> None:
    """Makes an older run live again, in one commit."""
    with config_session(config, overrides) as (spark, settings):
        release = _ledger(spark, settings).rollback(run, note)
        rich.print(f"release {release.release} of {settings.lake}: run {release.run_id} is live")


def unlock(
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also from a run that lives: it stops before its next stage.")
    ] = False,
) -> None:
    """Takes the lake from a run that died or hangs: listens for its sign of life first, for a minute at most.

    A night does the same by itself for a run whose process is gone; this is for a person who will not wait for one.
    """
    with config_session(config, overrides) as (spark, settings):
        abandoned = _ledger(spark, settings).unlock(force=force)
        result = f"{', '.join(abandoned)} abandoned: the next run begins at once" if abandoned else "no run holds it"
        rich.print(f"{settings.lake}: {result}")


def _ledger(spark: Any, settings: "Config") -> "Ledger":
    from xlrec.lake.delta import Lake
    from xlrec.lake.releases import Ledger

    return Ledger(Lake(spark, settings.lake), settings.publish.heartbeat_s)


def _stage_command(name: str) -> Callable[..., None]:
    def command(config: ConfigFile = None, overrides: Overrides = None) -> None:
        from xlrec.pipeline.night import stage_alone

        with config_session(config, overrides) as (spark, settings):
            stage_alone(spark, settings, name)

    command.__name__, command.__doc__ = name, _STAGES[name]
    return command


COMMANDS = (run, *map(_stage_command, _STAGES), evaluate, rollback, unlock)
