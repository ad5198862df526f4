"""Commands that train: the encoder, and a recommender for a market or language that has few logs."""

from typing import Annotated

import typer

from xlrec.cli.options import ConfigFile, Overrides, config_session, split_names
from xlrec.config.loading import load_config, load_program_config
from xlrec.errors import ConfigError


def transfer(
    sources: Annotated[
        str | None, typer.Option("--from", metavar="MARKETS", help="Markets that are learnt from, such as DE,FR.")
    ] = None,
    targets: Annotated[str | None, typer.Option("--to", metavar="MARKETS", help="Market that is to be served.")] = None,
    from_language: Annotated[
        str | None, typer.Option(metavar="TAGS", help="Learn from interactions with items in these languages.")
    ] = None,
    to_language: Annotated[
        str | None, typer.Option(metavar="TAGS", help="Recommend only items with a text in these.")
    ] = None,
    shares: Annotated[
        str, typer.Option(metavar="PERCENT", help="Shares of the target's users whose logs are learnt from.")
    ] = "1,5,20,100",
    output: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Folder of the model. Default: in the lake's _models.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Learns where logs are rich and serves where they are scarce: the curve from no logs to all, and a model.

    Prepares and embeds what the lake lacks. Examples:

        xlrec transfer --config conf/demo.yaml --from US,DE,FR --to JP

        xlrec transfer --config conf/demo.yaml --from-language zh --to-language en

    At the end it prints the line of config with which the nightly run uses the model.
    """
    from xlrec.pipeline.transfer import Route, check_route, run_transfer

    ends = {"market": (sources, targets), "language": (from_language, to_language)}
    given = [by for by, names in ends.items() if any(names)]
    if len(given) != 1 or not all(ends[given[0]]):
        raise ConfigError("name a source and a target: --from and --to, or --from-language and --to-language")
    source_names, target_names = map(split_names, ends[given[0]])
    route = Route(source_names, target_names, given[0], _percent(shares), output)
    check_route(route, load_config(config, overrides or []))
    with config_session(config, overrides) as (spark, settings):
        run_transfer(spark, settings, route, config)


def _percent(shares: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) / 100 for share in split_names(shares))
    except ValueError as error:
        raise ConfigError(f"--shares is {shares!r}: write percent with commas, such as 1,5,20,100") from error


def adapt_encoder(
    config: Annotated[str, typer.Option("--config", "-c", metavar="FILE", help="YAML, see conf/training/.")],
    overrides: Overrides = None,
) -> None:
    """Trains a compact encoder from parallel texts, or fine-tunes a sentence-transformers model on them.

    The texts are Parquet (texts.path), or your own lake (texts.lake): its items with texts in several languages, and
    pairs of items that the same users chose. A run that was broken off goes on from its last checkpoint. Starts Spark
    only for a lake or for several processes. Examples:

        xlrec adapt-encoder --config conf/training/encoder.yaml --set steps=2000

        xlrec export-encoder .cache/from-lake/base

        xlrec adapt-encoder --config conf/training/from_lake.yaml --set texts.lake.folder=/data/lake
    """
    import sys

    from xlrec.pipeline.adapting import adapt_encoder
    from xlrec.training.encoder import AdaptConfig

    settings = load_program_config(AdaptConfig, config, overrides or [])
    recalls = adapt_encoder(settings, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201  # progress
    for (source, language), recall in sorted(recalls.items()):
        typer.echo(f"{source}\t{language}\t{recall:.3f}")
    typer.echo(f"wrote {settings.output}")


def export_encoder(
    folder: Annotated[str, typer.Argument(help="Folder for the model; made where it is missing.")],
) -> None:
    """Writes the shipped encoder as a folder that sentence-transformers loads by itself."""
    from xlrec.encoders.shipped import export_folder

    export_folder(folder)
    typer.echo(f"wrote {folder}")


COMMANDS = (adapt_encoder, export_encoder, transfer)
