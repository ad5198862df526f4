"""The command that compares texts: a few on the terminal, or whole tables on Spark."""

from typing import Annotated, Literal

import typer

from xlrec.cli.options import ConfigFile
from xlrec.config.loading import load
from xlrec.config.models import EmbedConfig, SparkConfig
from xlrec.errors import ConfigError
from xlrec.kernels.text.text import canonical_language

#: More columns fit no terminal.
_MAX_TEXTS = 20
#: Width where the output goes to a file or pipe.
_WIDTH = 120

Texts = Annotated[list[str] | None, typer.Argument(help="A few texts: prints how similar they are. Starts no Spark.")]
Left = Annotated[str | None, typer.Option("--left", metavar="PATH", help="Parquet file, folder or glob.")]
Right = Annotated[
    str | None, typer.Option("--right", metavar="PATH", help="Likewise; left out: the left rows among themselves.")
]
Out = Annotated[str | None, typer.Option("--out", metavar="PATH", help="Folder for the pairs.")]
LanguageColumn = Annotated[
    str | None, typer.Option("--language-column", metavar="NAME", help="BCP 47 tags. Default: `language`, if there is.")
]
Among = Annotated[
    str | None,
    typer.Option(
        "--languages",
        metavar="TAGS",
        help="Detect missing languages among these, such as en,fr,zh. Default: those that the tables state, else the "
        "common ones.",
    ),
]
EncoderName = Annotated[
    str | None, typer.Option("--encoder", help="Preset (`xlrec encoders`), folder or name. Default: the config's.")
]


def similarity(
    texts: Texts = None,
    left: Left = None,
    right: Right = None,
    out: Out = None,
    k: Annotated[int, typer.Option(min=1, max=1000, help="Right rows for each left row, at most.")] = 10,
    min_score: Annotated[float, typer.Option(min=-1, max=1, help="Leave out pairs below this cosine.")] = -1.0,
    other_language_only: Annotated[
        bool, typer.Option("--other-language-only", help="Only pairs whose languages are known and differ.")
    ] = False,
    id_column: Annotated[str, typer.Option(metavar="NAME", help="Unique with its language.")] = "id",
    text_column: Annotated[str, typer.Option(metavar="NAME", help="The texts.")] = "text",
    language_column: LanguageColumn = None,
    languages: Among = None,
    encoder: EncoderName = None,
    config: ConfigFile = None,
    form: Annotated[Literal["parquet", "delta"], typer.Option("--format", help="Of the pairs.")] = "parquet",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the pairs that lie at OUT, once the new ones are whole. On object stores Parquet is deleted "
            "first: take --format delta there.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The matrix of a few texts as JSON, for programs.")] = False,
) -> None:
    """How similar texts of any languages are: a few on the terminal, or tables of any size on Spark.

    A score is the cosine of two texts' vectors, in [-1, 1]; equal texts have 1. Examples:

        xlrec similarity "红色连衣裙" "robe rouge d'été" "red summer dress" "drill bit set"

        xlrec similarity --left a.parquet --right b.parquet --k 5 --out pairs

        xlrec similarity --left catalog --id-column item_id --text-column title --other-language-only --out pairs

    The pairs have the columns left_id, right_id, rank (1 is best), score, left_language, right_language. The search is
    exact; languages and the row itself are left out before it, so that each row gets its k where there are so many.
    """
    if encoder and config:
        raise ConfigError("both --encoder and --config are given: leave one out, --config names the encoder too")
    settings = load(config) if config else None
    embed = settings.embed if settings else EmbedConfig(encoder=encoder) if encoder else EmbedConfig()
    among = tuple(tag.strip() for tag in languages.split(",") if tag.strip()) if languages else ()
    wrong = [tag for tag in among if canonical_language(tag) is None]
    if wrong:
        raise ConfigError(f"--languages names {wrong[0]!r}, which is no BCP 47 language: write such as en,fr,zh-Hant")
    if texts and (left or right or out):
        raise ConfigError("texts and tables are both given: either a few texts, or --left, --right and --out")
    if texts:
        _few(texts, embed, among, as_json)
        return
    if left is None or out is None:
        raise ConfigError(
            '--left and --out are needed; or give a few texts: xlrec similarity "red dress" "rotes Kleid"'
        )
    from xlrec.runtime import doctor
    from xlrec.runtime.session import start
    from xlrec.similarity.program import Pairing, check, run

    pairing = Pairing(
        left, out, right, k, min_score, other_language_only, id_column, text_column, language_column, among, form,
        overwrite,
    )  # fmt: skip
    check(pairing)
    doctor.require()
    spark = start(settings.spark if settings else SparkConfig())
    try:
        typer.echo(f"{run(spark, pairing, embed):,} pairs in {out}")
    finally:
        spark.stop()


def _few(texts: list[str], embed: EmbedConfig, among: tuple[str, ...], as_json: bool) -> None:
    """Prints the matrix of a few texts; a language with a question mark is only the likeliest."""
    import json

    import numpy as np

    from xlrec.similarity.api import COMMON_LANGUAGES, detected_languages, similarity_matrix

    if not 2 <= len(texts) <= _MAX_TEXTS:
        raise ConfigError(f"{len(texts)} texts are given, allowed are 2 to {_MAX_TEXTS}: put more into a Parquet table")
    scores = similarity_matrix(texts, encoder=embed)
    among = among or COMMON_LANGUAGES
    likely, sure = detected_languages(texts, among, 0.0), detected_languages(texts, among)
    if as_json:
        rows = [[round(float(score), 6) if np.isfinite(score) else None for score in row] for row in scores]
        typer.echo(json.dumps({"texts": texts, "languages": likely, "scores": rows}, ensure_ascii=False))
        return
    from rich.console import Console

    from xlrec.reporting.pairs import matrix_table

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    tags = [tag if tag == certain else f"{tag}?" for tag, certain in zip(likely, sure, strict=True)]
    console.print(matrix_table(texts, tags, scores))
    empty = sum(not np.isfinite(row).any() for row in scores)
    said = f"; {empty} without text once cleaned" if empty else ""
    console.print(f"cosine of the vectors of {embed.encoder}{said}", style="dim", highlight=False)


COMMANDS = (similarity,)
