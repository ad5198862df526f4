"""Commands that train: the encoder."""

from typing import Annotated

import typer

from xlrec.cli.options import Overrides


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

    from xlrec.pipeline.adapting import adapt
    from xlrec.settings import load_as
    from xlrec.training.encoder import AdaptConfig

    settings = load_as(AdaptConfig, config, overrides or [])
    found = adapt(settings, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201  # progress
    for (source, language), recall in sorted(found.items()):
        typer.echo(f"{source}\t{language}\t{recall:.3f}")
    typer.echo(f"wrote {settings.output}")


def export_encoder(
    folder: Annotated[str, typer.Argument(help="Folder for the model; made where it is missing.")],
) -> None:
    """Writes the shipped encoder as a folder that sentence-transformers loads by itself."""
    from xlrec.encoders.shipped import export

    export(folder)
    typer.echo(f"wrote {folder}")


COMMANDS = (adapt_encoder, export_encoder)
