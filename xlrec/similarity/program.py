"""The similarity program: two tables of texts in, the most similar right rows of every left row out."""

import os
from functools import reduce
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.index.writer import write_index
from xlrec.kernels.text.text import canonical_language
from xlrec.lake.delta import Lake
from xlrec.runtime.files import Files
from xlrec.runtime.progress import Progress
from xlrec.similarity.inputs import candidate_languages, clean_texts, count_texts, number_rows, read_texts, usable_rows
from xlrec.similarity.output import Pairing, write_pairs
from xlrec.similarity.spark import similar_pairs
from xlrec.stages import embed as embedding
from xlrec.tables import UNKNOWN_LANGUAGE
from xlrec.translators.shipping import encoder_for_workers


def run_similarity(spark: SparkSession, pairing: Pairing, config: EmbedConfig) -> int:
    """Reads, embeds, searches and writes; the number of pairs.

    Raises:
        ConfigError: as `Pairing.check_output`.
        InputError: a table is missing, lacks a column, repeats a row, or has no text at all.
        EncoderError: the encoder cannot be had.
    """
    pairing.check_output()
    parent, slash, name = pairing.out.rstrip("/").rpartition("/")
    progress, beside = Progress(spark), Lake(spark, parent or slash or ".")
    fingerprint, sent = encoders.fingerprint(config), encoder_for_workers(beside, config)
    sides, n_left = _prepare(spark, pairing, progress)
    right = number_rows(sides[-1])
    vectors = _embed(sides, sent, fingerprint, progress)
    files = beside.folder_of_files(f".{name}-{os.urandom(4).hex()}")
    Path(files.folder).mkdir(parents=True)
    Path(files.folder).chmod(0o777)  # workers may run as another user
    try:
        with progress.stage("index"):
            _write_index(files, right, vectors, encoders.load(config).dim)
            files.keep_in_lake(spark)
        left = usable_rows(sides[0]).withColumn("num", F.lit(None).cast("int")) if pairing.right else right
        shared, queries = files.share_with_workers(spark), left.join(vectors, "text_hash")
        least, only = pairing.min_score, pairing.other_language_only
        pairs = similar_pairs(queries, pairing.k, index=shared, min_score=least, other_language_only=only)
        with progress.stage("search") as stage:
            n_pairs = write_pairs(pairs, beside, pairing.out, pairing.form)
            stage.record_result(rows_in=n_left, rows_out=n_pairs)
    finally:
        files.delete_everywhere(spark)
        for frame in (*sides, right, vectors):
            frame.unpersist()
    return n_pairs


def _prepare(spark: SparkSession, pairing: Pairing, progress: Progress) -> tuple[list[DataFrame], int]:
    """Clean texts of each table, and the usable rows of the left one."""
    columns = {"id": pairing.id_column, "text": pairing.text_column}
    if pairing.language_column:
        columns["language"] = pairing.language_column
    paths = {"left": pairing.left} | ({"right": pairing.right} if pairing.right else {})
    with progress.stage("prepare") as stage:
        raw = [read_texts(spark, path, side, columns) for side, path in paths.items()]
        named = tuple(sorted({str(canonical_language(tag)) for tag in pairing.languages}))
        among = named or candidate_languages(raw)
        sides = [clean_texts(rows, among) for rows in raw]
        only = pairing.other_language_only
        counts = {side: count_texts(rows, side, only) for side, rows in zip(paths, sides, strict=True)}
        n_rows, n_usable = sum(c.rows for c in counts.values()), sum(c.usable for c in counts.values())
        notes = [f"{side} {c.note}" if len(counts) > 1 else c.note for side, c in counts.items() if c.note]
        stage.record_result(rows_in=n_rows, rows_out=n_usable, rejected=n_rows - n_usable, note="; ".join(notes))
    return sides, counts["left"].usable


def _embed(sides: list[DataFrame], sent: EmbedConfig, fingerprint: str, progress: Progress) -> DataFrame:
    """(text_hash, vector), kept on disk: each different text of all sides once, so that equal texts tie exactly."""
    texts = reduce(DataFrame.union, map(usable_rows, sides)).select("text_hash", "text").dropDuplicates(["text_hash"])
    n_texts = texts.count()
    with progress.stage("embed", total=n_texts, unit="texts") as stage:
        vectors = embedding.embed(texts, sent, fingerprint, n_texts=n_texts).select("text_hash", "vector")
        vectors = vectors.persist(StorageLevel.DISK_ONLY)
        stage.record_result(rows_in=n_texts, rows_out=vectors.count())
    return vectors


def _write_index(files: Files, right: DataFrame, vectors: DataFrame, dim: int) -> None:
    """Writes the index of the right rows: its categories hold each row's language, its languages the known ones."""
    items = right.select(
        F.col("id").alias("item_id"),
        F.col("num").alias("item_num"),
        F.when(F.col("language") != UNKNOWN_LANGUAGE, F.array("language")).alias("languages"),
        F.array("language").alias("categories"),
    )
    rows = right.join(vectors, "text_hash").select(F.col("num").alias("item_num"), "vector")
    write_index(files, items, rows, dim=dim)
