"""What only tells the language: fitted after embedding, kept in the lake, read where item vectors are made."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.kernels.neutral import Neutral
from xlrec.pipeline.run import Run
from xlrec.stages import neutral as stage
from xlrec.tables import EMBEDDINGS, LANGUAGE_PARTS


def fit(run: Run, texts: DataFrame, fingerprint: str) -> None:
    """Fits it on the embedded texts and replaces this encoder's rows; nothing where the config turns it off."""
    config, lake = run.config.embed.neutral, run.lake
    if not config.enabled:
        return
    sums = stage.language_sums(texts, lake.read(EMBEDDINGS), fingerprint).collect()  # a row per language
    rows = stage.fit_rows(sums, config, fingerprint)
    names = LANGUAGE_PARTS.schema.names
    frame = run.spark.createDataFrame([tuple(row[name] for name in names) for row in rows], LANGUAGE_PARTS.schema)
    lake.replace(LANGUAGE_PARTS, frame, {"fingerprint": fingerprint})
    run.counts["embed.languages"] = len(sums)


def fitted(run: Run, fingerprint: str) -> Neutral | None:
    """The fit of the encoder; None where the config turns it off, or the catalogue had no texts.

    Raises:
        LakeError: nothing was fitted yet; names the job that does.
    """
    if not run.config.embed.neutral.enabled:
        return None
    rows = run.texts.read(LANGUAGE_PARTS).where(F.col("fingerprint") == fingerprint)
    return stage.neutral_of(rows.collect())
