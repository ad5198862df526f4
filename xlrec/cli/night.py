"""Commands that write the lake: the whole night, its stages alone, release and rollback."""

from typing import Annotated

import typer

from xlrec.cli.options import ConfigFile, Overrides, session


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

    with session(config, overrides) as (spark, settings):
        nightly(spark, settings, evaluating=evaluate, config_file=config)


def prepare(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Inputs into texts, items, events and users; bad rows into rejects."""
    _stage("prepare", config, overrides)


def translate(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Texts into the pivot language, where `unify` is pivot or both; those that the cache holds are not done again."""
    _stage("translate", config, overrides)


def embed(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Vectors of the texts that the cache does not hold yet."""
    _stage("embed", config, overrides)


def train(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Co-visitation, popularity and the item index that workers map into memory."""
    _stage("train", config, overrides)


def recommend(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Every user's ranked list from the newest trained model; not released yet."""
    _stage("recommend", config, overrides)


def publish(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Audits the newest lists that `recommend` wrote and releases them in one commit."""
    _stage("publish", config, overrides)


def evaluate(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Splits by time, runs the same stages on the history and scores lists, sources and baselines."""
    from xlrec.pipeline.evaluation import evaluate as score

    with session(config, overrides) as (spark, settings):
        score(spark, settings, config_file=config)


def rollback(
    config: ConfigFile = None,
    overrides: Overrides = None,
    run: Annotated[str | None, typer.Option(help="Run to go back to; default: the one before the live run.")] = None,
    note: Annotated[str | None, typer.Option(help="Why; kept in _releases.")] = None,
) -> None:
    """Makes an older run live again, in one commit."""
    from rich import print as show

    from xlrec.lake.delta import Lake
    from xlrec.lake.releases import Ledger

    with session(config, overrides) as (spark, settings):
        ledger = Ledger(Lake(spark, settings.lake), settings.publish.heartbeat_s)
        release = ledger.rollback(run, note)
        show(f"release {release.release} of {settings.lake}: run {release.run_id} is live")


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
    from rich import print as show

    from xlrec.lake.delta import Lake
    from xlrec.lake.releases import Ledger

    with session(config, overrides) as (spark, settings):
        taken = Ledger(Lake(spark, settings.lake), settings.publish.heartbeat_s).unlock(force=force)
        said = f"{', '.join(taken)} abandoned: the next run begins at once" if taken else "no run holds it"
        show(f"{settings.lake}: {said}")


def _stage(name: str, config: str | None, overrides: list[str] | None) -> None:
    from xlrec.pipeline.night import stage_alone

    with session(config, overrides) as (spark, settings):
        stage_alone(spark, settings, name)


COMMANDS = (run, prepare, translate, embed, train, recommend, publish, evaluate, rollback, unlock)
