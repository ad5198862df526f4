"""Commands that only read: the plan of a night, one user's list, reports, releases, the contract, the machine."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from xlrec.cli.contract import contract
from xlrec.cli.encoders import encoders
from xlrec.cli.options import AsJson, ConfigFile, Overrides, config_session, print_json
from xlrec.config.loading import load_config
from xlrec.config.models import Config


def explain(
    user: Annotated[str, typer.Option("--user", metavar="ID", help="user_id as in the inputs.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """One user's live list, history and reasons."""
    from xlrec.pipeline.explaining import explain_user as print_list

    with config_session(config, overrides) as (spark, settings):
        print_list(spark, settings, user)


def report(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="run_id, or a transfer's page; none: the newest run.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Also copy it to this file.")] = None,
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the browser, where there is one.")
    ] = True,
) -> None:
    """A run's report, in the browser; from an object store a copy is fetched. Prints the path."""
    from xlrec.pipeline.pages import fetched_page, local_page

    settings = load_config(config, overrides or [])
    path = local_page(settings.lake, run)
    if path is None:
        with config_session(config, overrides) as (spark, _):
            path = fetched_page(spark, settings.lake, run)
    if out is not None:
        path = Path(shutil.copyfile(path, out))
    typer.echo(path)
    if browser:
        typer.launch(str(path))


def releases(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """What was released when, and how the newest runs ended."""
    from xlrec.pipeline.explaining import releases as print_releases

    with config_session(config, overrides) as (spark, settings):
        print_releases(spark, settings)


def doctor(
    config: ConfigFile = None,
    overrides: Overrides = None,
    lake: Annotated[
        str | None, typer.Option(help="Without a config: also check that this lake can be written.")
    ] = None,
) -> None:
    """Checks Java, Python, Delta's jars, write access, memory, cores and GPU; says how to mend what fails.

    With a config it also starts Spark as the night would, on the config's master or within spark-submit, and tries what
    a night asks: a task on every executor (Python, packages, disk, GPU), files written, listed, read and deleted in the
    lake by executors and driver, the inputs, secrets of the cluster:

        spark-submit --master spark://HOST:7077 --packages … jobs/doctor.py --config night.yaml
    """
    from xlrec.pipeline import doctor as checks

    raise typer.Exit(checks.run(lake, load_config(config, overrides or []) if config or overrides else None))


def plan(
    config: ConfigFile = None,
    overrides: Overrides = None,
    users: Annotated[int | None, typer.Option(min=1, help="As many users instead of the inputs'.")] = None,
    items: Annotated[int | None, typer.Option(min=1, help="As many items instead of the inputs'.")] = None,
    executors: Annotated[int | None, typer.Option(min=1, help="Machines, one executor each.")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores of each.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory of each, such as 64g.")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast of the night: seconds by stage, memory, disk, shuffles, and settings that would make it cheaper.

    Nothing runs and no Spark starts: sizes come from the Parquet inputs, seconds from the last night in the lake or a
    table of rates, and from a second of searching here. What if there were more:

        xlrec plan --config conf/demo.yaml --users 10000000 --items 1000000 --executors 16 --cores 16 --memory 256g
    """
    from xlrec.planning.night import memory_bytes, plan_night
    from xlrec.reporting.plan import plan_json, print_plan

    machines = {"executors": executors, "cores": cores, "memory": memory_bytes(memory) if memory else None}
    night = plan_night(load_config(config, overrides or []), users=users, items=items, **machines)
    print_json(plan_json(night)) if as_json else print_plan(night)


def schema() -> None:
    """The config's JSON schema, which editors use to complete and check a config."""
    print_json(Config.model_json_schema())


COMMANDS = (plan, explain, report, releases, contract, encoders, doctor, schema)
