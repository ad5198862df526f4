"""The similarity program: two tables of texts in, the most similar right rows of every left row out."""

import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.errors import ConfigError, InputError
from xlrec.index.writer import write_index
from xlrec.kernels.text.text import canonical_language
from xlrec.lake.delta import Lake
from xlrec.lake.inputs import read_input
from xlrec.runtime import machine
from xlrec.runtime.files import Files
from xlrec.runtime.progress import Progress
from xlrec.similarity.api import COMMON_LANGUAGES, MAX_CHARS
from xlrec.similarity.spark import similar
from xlrec.stages import embed as embedding
from xlrec.stages import prepare as preparing
from xlrec.tables import SIMILARITIES, SIMILARITY_INPUT, UNKNOWN_LANGUAGE
from xlrec.translators.shipping import encoder_for_workers

_OPTIONS: Final = {"id": "--id-column", "text": "--text-column", "language": "--language-column"}
#: What a finished table of each form holds.
_MARKS: Final = {"parquet": "_SUCCESS", "delta": "_delta_log"}


@dataclass(frozen=True)
class Pairing:
    """What is compared with what, and where the result goes."""

    left: str
    out: str
    right: str | None = None
    """None: left with itself, where a row never matches itself."""
    k: int = 10
    min_score: float = -1.0
    other_language_only: bool = False
    id_column: str = "id"
    text_column: str = "text"
    language_column: str | None = None
    """None: `language`, where there is one."""
    languages: tuple[str, ...] = ()
    """Among which missing ones are detected. Empty: those that the tables state, else `COMMON_LANGUAGES`."""
    form: Literal["parquet", "delta"] = "parquet"
    overwrite: bool = False


@dataclass
class Counts:
    """What was read and left out, on both sides together where they are one table."""

    rows: int = 0
    empty: int = 0
    without_id: int = 0
    unknown_language: int = 0

    def said(self, other_language_only: bool) -> str:
        """What was left out, in words; empty where nothing was."""
        parts = [(self.empty, "without text"), (self.without_id, "without id")]
        if other_language_only:
            parts.append((self.unknown_language, "in an unknown language, which match nothing"))
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)


def check(pairing: Pairing) -> None:
    """Refuses an output that cannot be written.

    Raises:
        ConfigError: it is there already, is an input, or lies where nothing can be made.
    """
    out = machine.local_folder(pairing.out)
    for name, path in (("--left", pairing.left), ("--right", pairing.right)):
        folder = machine.local_folder(path) if path else None
        if path == pairing.out or (out and folder and folder.resolve() in (out.resolve(), *out.resolve().parents)):
            raise ConfigError(f"--out {pairing.out} lies in {name} {path}: name another folder")
    if out is None:
        return
    if out.exists():
        if not pairing.overwrite:
            raise ConfigError(f"--out {pairing.out} is there already: add --overwrite, or name another folder")
        if not (out / _MARKS[pairing.form]).exists():
            raise ConfigError(f"--out {pairing.out} is no {pairing.form} table to overwrite: name another folder")
    reason = machine.cannot_write(out.absolute().parent)
    if reason:
        raise ConfigError(f"--out: cannot write to {reason}: name another folder")


def run(spark: SparkSession, pairing: Pairing, config: EmbedConfig) -> int:
    """Reads, embeds, searches and writes; the number of pairs.

    Raises:
        ConfigError: as `check`.
        InputError: a table is missing, has not the columns, repeats a row, or has no text at all.
        EncoderError: the encoder cannot be had.
    """
    check(pairing)
    progress = Progress(spark)
    fingerprint, sent = encoders.fingerprint(config), encoder_for_workers(_lake_beside(spark, pairing.out), config)
    with progress.stage("prepare") as shown:
        raw = [_read(spark, pairing, name) for name in ("left", "right") if getattr(pairing, name)]
        among = _languages(raw, pairing)
        left, *more = sides = [_tidy(rows, among) for rows in raw]
        counts = [_counted(rows, name) for rows, name in zip(sides, ("left", "right"), strict=False)]
        notes = [count.said(pairing.other_language_only) for count in counts]
        named = ("left ", "right ") if more else ("",)
        said = "; ".join(f"{name}{note}" for name, note in zip(named, notes, strict=True) if note)
        n_out = sum(count.empty + count.without_id for count in counts)
        n_rows = sum(count.rows for count in counts)
        shown.done(rows_in=n_rows, rows_out=n_rows - n_out, rejected=n_out, note=said)
    right = _numbered(sides[-1])
    vectors = _embedded(sides, sent, fingerprint, progress)
    files = _beside(spark, pairing.out)
    try:
        with progress.stage("index") as shown:
            _index(files, right, vectors, encoders.load(config).dim)
            files.keep(spark)
        rows = _usable(left).withColumn("num", F.lit(None).cast("int")) if more else right
        found = similar(
            rows.join(vectors, "text_hash"),
            pairing.k,
            index=files.offer(spark),
            min_score=pairing.min_score,
            other_language_only=pairing.other_language_only,
        )
        with progress.stage("search") as shown:
            n_pairs = _written(spark, found, pairing)
            shown.done(rows_in=counts[0].rows - counts[0].empty - counts[0].without_id, rows_out=n_pairs)
    finally:
        files.drop(spark)
        for frame in (*sides, right, vectors):
            frame.unpersist()
    return n_pairs


def _beside(spark: SparkSession, out: str) -> Files:
    """A new folder for the index, beside the output."""
    name = out.rstrip("/").rpartition("/")[2]
    files = _lake_beside(spark, out).files(f".{name}-{os.urandom(4).hex()}")
    Path(files.folder).mkdir(parents=True)
    Path(files.folder).chmod(0o777)  # workers may run as another user
    return files


def _lake_beside(spark: SparkSession, out: str) -> Lake:
    below, slash, _ = out.rstrip("/").rpartition("/")
    return Lake(spark, below or slash or ".")


def _read(spark: SparkSession, pairing: Pairing, side: str) -> DataFrame:
    columns = {"id": pairing.id_column, "text": pairing.text_column}
    if pairing.language_column:
        columns["language"] = pairing.language_column
    options = _OPTIONS | {side: f"--{side}"}
    return read_input(spark, getattr(pairing, side), SIMILARITY_INPUT, columns, side, options)


def _languages(raw: list[DataFrame], pairing: Pairing) -> tuple[str, ...]:
    """Among which missing languages are detected, sorted; as few rows as languages exist reach the driver."""
    if pairing.languages:
        return tuple(sorted({str(canonical_language(tag)) for tag in pairing.languages}))
    stated = {row["language"] for rows in raw for row in preparing.stated_languages(rows).collect()}
    return tuple(sorted(stated)) or COMMON_LANGUAGES


def _tidy(rows: DataFrame, among: tuple[str, ...]) -> DataFrame:
    """(id, language, text, text_hash), kept on disk: cleaned, the language canonical or detected."""
    cleaned = preparing.cleaned(among, True, MAX_CHARS, 1)
    parts = rows.select("id", cleaned("text", F.lit(None).cast("string"), "language").alias("t"))
    return parts.select("id", "t.language", "t.text", "t.text_hash").persist(StorageLevel.DISK_ONLY)


def _usable(rows: DataFrame) -> DataFrame:
    return rows.where(F.trim("id") != "").where(F.col("text") != "")


def _counted(rows: DataFrame, name: str) -> Counts:
    """What is in a table, by kind; each row left out is counted once.

    Raises:
        InputError: no row has both id and text, or rows share id and language.
    """
    no_id = F.coalesce(F.trim("id"), F.lit("")) == ""
    empty = ~no_id & (F.col("text") == "")
    unknown = ~no_id & ~empty & (F.col("language") == UNKNOWN_LANGUAGE)
    found = rows.agg(F.count("*"), F.count_if(empty), F.count_if(no_id), F.count_if(unknown)).collect()[0]
    counts = Counts(*found)
    if counts.rows == counts.empty + counts.without_id:
        raise InputError(f"{name} has {counts.rows} rows, none with an id and a text: name another table or column")
    n_repeated = _usable(rows).groupBy("id", "language").count().where("count > 1").count()
    if n_repeated:
        raise InputError(
            f"{name} has {n_repeated} ids with several rows in one language: leave one row each, or name another "
            "--id-column"
        )
    return counts


def _numbered(rows: DataFrame) -> DataFrame:
    """(id, language, text_hash, num), kept on disk: num counts from 0 by (id, language).

    All rows go through one task to be numbered; their texts and vectors do not.
    """
    order = Window.orderBy("id", "language")
    named = _usable(rows).select("id", "language", "text_hash")
    return named.withColumn("num", F.row_number().over(order) - 1).persist(StorageLevel.DISK_ONLY)


def _embedded(sides: list[DataFrame], sent: EmbedConfig, fingerprint: str, progress: Progress) -> DataFrame:
    """(text_hash, vector), kept on disk: each different text of all sides once, so that equal texts tie exactly."""
    texts = _usable(sides[0])
    for rows in sides[1:]:
        texts = texts.union(_usable(rows))
    texts = texts.select("text_hash", "text").dropDuplicates(["text_hash"])
    n_texts = texts.count()
    with progress.stage("embed", total=n_texts, unit="texts") as shown:
        vectors = embedding.embed(texts, sent, fingerprint, n_texts=n_texts).select("text_hash", "vector")
        vectors = vectors.persist(StorageLevel.DISK_ONLY)
        shown.done(rows_in=n_texts, rows_out=vectors.count())
    return vectors


def _index(files: Files, right: DataFrame, vectors: DataFrame, dim: int) -> None:
    """Lays the index of the right rows: its categories hold each row's language, its languages the known ones."""
    known = F.when(F.col("language") != UNKNOWN_LANGUAGE, F.array("language"))
    items = right.select(
        F.col("id").alias("item_id"),
        F.col("num").alias("item_num"),
        known.alias("languages"),
        F.array("language").alias("categories"),
    )
    rows = right.join(vectors, "text_hash").select(F.col("num").alias("item_num"), "vector")
    write_index(files, items, rows, dim=dim)


def _written(spark: SparkSession, found: DataFrame, pairing: Pairing) -> int:
    """Rows written: Delta in one commit that replaces the table, Parquet as a new folder.

    A folder of Parquet is written beside the old one and renamed, so that a run that fails leaves the old one whole.
    Object stores know no rename of folders: there Spark deletes the old files first, and only Delta replaces at once.
    """
    if pairing.form == "delta":
        root, _, name = pairing.out.rstrip("/").rpartition("/")
        return Lake(spark, root).replace(replace(SIMILARITIES, name=name), found)
    out = machine.local_folder(pairing.out)
    if out is None:
        found.write.mode("overwrite").parquet(pairing.out)
        return spark.read.parquet(pairing.out).count()
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    try:
        beside.chmod(0o777)  # workers may run as another user
        found.write.parquet(str(beside / "new"))
        n_pairs = spark.read.parquet(str(beside / "new")).count()
        _replace(beside / "new", out, beside / "old")
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return n_pairs


def _replace(new: Path, out: Path, aside: Path) -> None:
    """Puts the new folder where the old one was, which is moved aside; back where the new one cannot be moved."""
    if not out.exists():
        new.rename(out)
        return
    out.rename(aside)
    try:
        new.rename(out)
    except OSError:
        aside.rename(out)
        raise
