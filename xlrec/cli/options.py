"""Options that many commands share, and what they all do first: read the config, check the machine, start Spark."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from xlrec.config.loading import load
from xlrec.config.models import Config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


@contextmanager
def session(file: str | None, overrides: list[str] | None) -> Iterator[tuple["SparkSession", Config]]:
    """Spark and the effective config; Spark stops at the end.

    Raises:
        ConfigError: the config is wrong; nothing was started.
        MachineError: Java, Python or a permission is missing; nothing was started.
    """
    from xlrec.runtime import doctor
    from xlrec.runtime.session import start

    config = load(file, overrides or [])
    doctor.require(config.lake)
    spark = start(config.spark)
    try:
        yield spark, config
    finally:
        spark.stop()
