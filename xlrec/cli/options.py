"""Options and steps that commands share: the config, the check of the machine, Spark, JSON, the terminal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from xlrec.config.loading import load_config
from xlrec.config.models import Config, SparkConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from rich.console import Console

ConfigFile = Annotated[
    str | None,
    typer.Option("--config", "-c", metavar="FILE", help="YAML config; the smallest names lake, inputs and k."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override any field, such as rank.diversity=0.2; may be given many times."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@contextmanager
def spark_session(config: SparkConfig, folder: str | None = None) -> Iterator["SparkSession"]:
    """Spark, which stops at the end; `folder` must be writable.

    Raises:
        MachineError: Java, Python or a permission is missing; nothing was started.
    """
    from xlrec.runtime import doctor
    from xlrec.runtime.session import start_session

    doctor.require_machine(folder)
    spark = start_session(config)
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def config_session(file: str | None, overrides: list[str] | None) -> Iterator[tuple["SparkSession", Config]]:
    """Spark, as `spark_session`, and the effective config.

    Raises:
        ConfigError: the config is wrong; nothing was started.
    """
    config = load_config(file, overrides or [])
    with spark_session(config.spark, config.lake) as spark:
        yield spark, config


def print_json(content: object) -> None:
    """Prints content as indented JSON."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))


def wide_console(width: int) -> "Console":
    """Stdout for rich, of this width where it is a file or pipe."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=width)


def split_names(names: str | None) -> tuple[str, ...]:
    """The names of a list with commas, without blanks."""
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())
