"""What only tells the language: fitted after embedding, kept in the lake, read where item vectors are made."""

import json
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.kernels.text.neutral import Neutral
from xlrec.pipeline.run import Run
from xlrec.stages import neutral as stage
from xlrec.tables import EMBEDDINGS, LANGUAGE_PARTS

_FITTED: Final = "embed.languages"  # counted by the runs that fitted
_TOLD: Final = {"encoder", "revision", "folder", "prompt", "precision", "dim", "max_tokens"}  # what makes a vector


def fit(run: Run, texts: DataFrame, fingerprint: str) -> None:
    """Fits it on the embedded texts and replaces this encoder's rows.

    Nothing where the config turns it off, or where what was fitted lately is to be used again.
    """
    config, lake = run.config.embed.neutral, run.lake
    if not config.enabled or _is_recent(run, fingerprint):
        return
    sums = stage.language_sums(texts, lake.read(EMBEDDINGS), fingerprint).collect()  # a row per language
    rows = stage.fit_rows(sums, config, fingerprint)
    names = LANGUAGE_PARTS.schema.names
    frame = run.spark.createDataFrame([tuple(row[name] for name in names) for row in rows], LANGUAGE_PARTS.schema)
    lake.replace(LANGUAGE_PARTS, frame, {"fingerprint": fingerprint})
    run.counts[_FITTED] = len(sums)


def _is_recent(run: Run, fingerprint: str) -> bool:
    """Whether the encoder's rows were fitted, in the same way, at most `reuse_days` before the run's date."""
    config = run.config.embed
    last = run.ledger.newest(_FITTED) if config.neutral.reuse_days else None
    if last is None or not 0 <= (run.run_date - last["run_date"]).days <= config.neutral.reuse_days:
        return False
    then = json.loads(last["config"])["embed"]
    if any(then.get(name) != value for name, value in json.loads(config.model_dump_json(include=_TOLD)).items()):
        return False
    if then["neutral"] | {"reuse_days": 0} != config.neutral.model_dump(mode="json") | {"reuse_days": 0}:
        return False
    return fitted(run, fingerprint) is not None


def fitted(run: Run, fingerprint: str) -> Neutral | None:
    """The fit of the encoder; None where the config turns it off, or the catalogue had no texts.

    Raises:
        LakeError: nothing was fitted yet; names the job that does.
    """
    if not run.config.embed.neutral.enabled:
        return None
    rows = run.texts.read(LANGUAGE_PARTS).where(F.col("fingerprint") == fingerprint)
    return stage.neutral_of(rows.collect())
