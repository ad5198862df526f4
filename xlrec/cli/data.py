"""Commands that make input: the demo world, importers of public layouts."""

from typing import Annotated

import typer

from xlrec.cli.options import spark_session
from xlrec.config.models import SparkConfig


def demo(
    folder: Annotated[str, typer.Argument(help="Where to write catalog, interactions, users and truth.")],
    users: Annotated[int, typer.Option(min=1, help="Users.")] = 2000,
    items: Annotated[int | None, typer.Option(min=1, help="Items; more than the 180 products: variants.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed writes the same files.")] = 7,
    memory: Annotated[str, typer.Option(help="Heap of Spark's driver, such as 8g for millions of users.")] = "4g",
) -> None:
    """Writes the demo world: a marketplace of 180 products in 12 languages and 8 markets, with logs of 60 days.

    Example, for a load test: xlrec demo /tmp/load --users 1000000 --items 200000
    """
    from xlrec.datasets.demo import write_demo

    with spark_session(SparkConfig(driver_memory=memory), folder) as spark:
        typer.echo(write_demo(spark, folder, users=users, items=items, seed=seed))


importers = typer.Typer(help="Brings a public data set into the input layout.", no_args_is_help=True)
Source = Annotated[str, typer.Argument(help="Folder of the data set as published, unpacked.")]
Target = Annotated[str, typer.Argument(help="Folder for catalog and interactions.")]


@importers.command()
def movielens(source: Source, target: Target) -> None:
    """MovieLens: ratings as events, films as English items, genres as categories."""
    _import("movielens", source, target)


@importers.command()
def mind(
    source: Source,
    target: Target,
    xmind: Annotated[str | None, typer.Option(help="Folder of xMIND's translations, joined by news id.")] = None,
) -> None:
    """MIND: clicks as events, news as items; with --xmind also in xMIND's languages."""
    _import("mind", source, target, xmind)


@importers.command()
def amazon_m2(source: Source, target: Target) -> None:
    """Amazon-M2: sessions as users, products of all locales, a market per locale."""
    _import("amazon_m2", source, target)


def _import(name: str, source: str, target: str, *more: str | None) -> None:
    from importlib import import_module

    write = getattr(import_module(f"xlrec.datasets.{name}"), f"import_{name}")
    with spark_session(SparkConfig(), target) as spark:
        typer.echo(write(spark, source, target, *more))


COMMANDS = (demo,)
