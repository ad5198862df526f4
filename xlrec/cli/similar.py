"""The command `similarity`: a few texts on the terminal, or whole tables on Spark."""

from typing import Annotated, Literal

import typer

from xlrec.cli.options import ConfigFile, spark_session, split_names, wide_console
from xlrec.config.loading import load_config
from xlrec.config.models import EmbedConfig, SparkConfig
from xlrec.errors import ConfigError
from xlrec.kernels.text.text import canonical_language

_NEITHER = '--left and --out are needed; or give a few texts: xlrec similarity "red dress" "rotes Kleid"'
_MAX_TEXTS = 20  # more columns fit no terminal

Texts = Annotated[list[str] | None, typer.Argument(help="A few texts: prints how similar they are. Starts no Spark.")]
Right = Annotated[
    str | None, typer.Option("--right", metavar="PATH", help="Likewise; left out: the left rows among themselves.")
]
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
OtherLanguageOnly = Annotated[
    bool, typer.Option("--other-language-only", help="Only pairs whose languages are known and differ.")
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace the pairs that lie at OUT, once the new ones are whole. On object stores Parquet is deleted "
        "first: take --format delta there.",
    ),
]
EncoderName = Annotated[
    str | None, typer.Option("--encoder", help="Preset (`xlrec encoders`), folder or name. Default: the config's.")
]


def similarity(
    texts: Texts = None,
    left: Annotated[str | None, typer.Option(metavar="PATH", help="Parquet file, folder or glob.")] = None,
    right: Right = None,
    out: Annotated[str | None, typer.Option(metavar="PATH", help="Folder for the pairs.")] = None,
    k: Annotated[int, typer.Option(min=1, max=1000, help="Right rows for each left row, at most.")] = 10,
    min_score: Annotated[float, typer.Option(min=-1, max=1, help="Leave out pairs below this cosine.")] = -1.0,
    other_language_only: OtherLanguageOnly = False,
    id_column: Annotated[str, typer.Option(metavar="NAME", help="Unique with its language.")] = "id",
    text_column: Annotated[str, typer.Option(metavar="NAME", help="The texts.")] = "text",
    language_column: LanguageColumn = None,
    languages: Among = None,
    encoder: EncoderName = None,
    config: ConfigFile = None,
    form: Annotated[Literal["parquet", "delta"], typer.Option("--format", help="Of the pairs.")] = "parquet",
    overwrite: Overwrite = False,
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
    embed, spark_config = _configs(encoder, config)
    among = _tags(languages)
    if texts and (left or right or out):
        raise ConfigError("texts and tables are both given: either a few texts, or --left, --right and --out")
    if texts:
        _print_matrix(texts, embed, among, as_json)
        return
    if left is None or out is None:
        raise ConfigError(_NEITHER)
    from xlrec.similarity.output import Pairing
    from xlrec.similarity.program import run_similarity

    pairing = Pairing(
        left, out, right, k, min_score, other_language_only, id_column, text_column, language_column, among, form,
        overwrite,
    )  # fmt: skip
    pairing.check_output()
    with spark_session(spark_config) as spark:
        typer.echo(f"{run_similarity(spark, pairing, embed):,} pairs in {pairing.out}")


def _configs(encoder: str | None, config: str | None) -> tuple[EmbedConfig, SparkConfig]:
    if encoder and config:
        raise ConfigError("both --encoder and --config are given: leave one out, --config names the encoder too")
    if config:
        settings = load_config(config)
        return settings.embed, settings.spark
    return EmbedConfig(**({"encoder": encoder} if encoder else {})), SparkConfig()


def _tags(languages: str | None) -> tuple[str, ...]:
    tags = split_names(languages)
    wrong = [tag for tag in tags if canonical_language(tag) is None]
    if wrong:
        raise ConfigError(f"--languages names {wrong[0]!r}, which is no BCP 47 language: write such as en,fr,zh-Hant")
    return tags


def _print_matrix(texts: list[str], embed: EmbedConfig, among: tuple[str, ...], as_json: bool) -> None:
    """Prints the matrix; a language with a question mark is only the likeliest."""
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
    from xlrec.reporting.console import matrix_table

    console = wide_console(120)
    tags = [tag if tag == certain else f"{tag}?" for tag, certain in zip(likely, sure, strict=True)]
    console.print(matrix_table(texts, tags, scores))
    empty = sum(not np.isfinite(row).any() for row in scores)
    note = f"; {empty} without text once cleaned" if empty else ""
    console.print(f"cosine of the vectors of {embed.encoder}{note}", style="dim", highlight=False)


COMMANDS = (similarity,)
