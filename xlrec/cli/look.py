"""Commands that only look: one user's list, the contract, the releases, the machine."""

from typing import Annotated

import typer

from xlrec.cli.options import ConfigFile, Overrides, session


def explain(
    user: Annotated[str, typer.Option("--user", metavar="ID", help="user_id as in the inputs.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """One user's live list, history and reasons."""
    from xlrec.pipeline.explaining import explain as tell

    with session(config, overrides) as (spark, settings):
        tell(spark, settings, user)


def releases(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """What was released when, and how the newest runs ended."""
    from xlrec.pipeline.explaining import releases as tell

    with session(config, overrides) as (spark, settings):
        tell(spark, settings)


def contract(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """What readers of `recommendations` may rely on: columns, types, meaning, how to read the live lists."""
    from xlrec.cli.contract import show

    show(as_json)


def encoders(as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False) -> None:
    """The models that a name in embed.encoder is enough for: size, licence, cost, what could be checked."""
    from xlrec.cli.encoders import show

    show(as_json)


def doctor(
    lake: Annotated[str | None, typer.Option(help="Also check that this lake can be written.")] = None,
) -> None:
    """Checks Java, Python, Delta's jars, write access, memory, cores and GPU; says how to mend what fails."""
    from xlrec import doctor as physician

    raise typer.Exit(physician.run(lake))


def schema() -> None:
    """The config's JSON schema, which editors use to complete and check a config."""
    import json

    from xlrec.config import Config

    typer.echo(json.dumps(Config.model_json_schema(), indent=1, ensure_ascii=False))


COMMANDS = (explain, releases, contract, encoders, doctor, schema)
