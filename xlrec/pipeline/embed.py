"""Embed: vectors of new texts into the cache, the language's own part of them, and the vectors of items."""

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.kernels.text.neutral import LanguageOffsets
from xlrec.pipeline import quality, translation
from xlrec.pipeline.run import Run
from xlrec.stages import embed as embedding
from xlrec.stages import neutral
from xlrec.tables import EMBEDDINGS, ITEMS, LANGUAGE_PARTS
from xlrec.translators.shipping import encoder_for_workers


def embed(run: Run) -> None:
    """Embeds the texts whose content the cache does not hold yet for this encoder."""
    config, lake = run.config.embed, run.lake
    lake.create_table(EMBEDDINGS)
    fingerprint = encoders.fingerprint(config)
    texts = translation.unified_texts(run)
    new = embedding.new_texts(texts, lake.read_table(EMBEDDINGS), fingerprint).persist()  # counted, then embedded
    n_new = new.count()
    with run.stage("embed", total=n_new, unit="texts") as progress:
        if n_new:
            encoder = encoder_for_workers(lake, config)
            lake.append_rows(EMBEDDINGS, embedding.embed(new, encoder, fingerprint, n_texts=n_new))
        new.unpersist()
        run.counts["embed.texts"] = n_new
        if config.neutral.enabled:
            _fit_language_parts(run, texts, fingerprint)
        progress.record_result(rows_in=run.counts.get("prepare.texts"), rows_out=n_new, note=quality.check_texts(run))


def item_vectors(run: Run) -> DataFrame:
    """item_num and vector of the run's items, of the texts that `unify` names, without the language's own part."""
    fingerprint = encoders.fingerprint(run.config.embed)
    language_parts, embeddings = _language_parts(run, fingerprint), run.texts.read_table(EMBEDDINGS)
    texts = translation.unified_texts(run)
    return embedding.item_vectors(run.lake.read_table(ITEMS), texts, embeddings, fingerprint, language_parts)


def _fit_language_parts(run: Run, texts: DataFrame, fingerprint: str) -> None:
    lake = run.lake
    sums = neutral.language_sums(texts, lake.read_table(EMBEDDINGS), fingerprint).collect()  # a row per language
    rows: Any = neutral.fit_rows(sums, run.config.embed.neutral, fingerprint)
    frame = run.spark.createDataFrame(rows, LANGUAGE_PARTS.schema)
    lake.replace_rows(LANGUAGE_PARTS, frame, {"fingerprint": fingerprint})
    run.counts["embed.languages"] = len(sums)


def _language_parts(run: Run, fingerprint: str) -> LanguageOffsets | None:
    """The encoder's fit; None where the config turns it off, or the catalogue had no texts."""
    if not run.config.embed.neutral.enabled:
        return None
    rows = run.texts.read_table(LANGUAGE_PARTS).where(F.col("fingerprint") == fingerprint)
    return neutral.neutral_of(rows.collect())
