"""Translation of the texts into the pivot language, and the texts that vectors are made of."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec import translators
from xlrec.config.models import Config
from xlrec.lake.inputs import read_input
from xlrec.pipeline.run import Run
from xlrec.stages import prepare as preparing
from xlrec.stages import translate as translating
from xlrec.tables import TEXTS, TRANSLATIONS, TRANSLATIONS_INPUT
from xlrec.translators.shipping import translator_for_workers


def translate(run: Run) -> None:
    """Translates the texts that have no translation into the pivot language yet: brought ones first, then the model.

    Nothing where `unify` is vectors.

    Raises:
        InputError: inputs.translations cannot be read.
        EncoderError: the model cannot be had.
    """
    config, lake = run.config, run.lake
    if config.unify == "vectors":
        return
    pivot, names = translating.pivot_of(config.translate), _translators(config)
    lake.create_table(TRANSLATIONS)
    foreign = translating.foreign_texts(lake.read_table(TEXTS), pivot)
    n_brought = _bring_translations(run, foreign, pivot) if config.inputs.translations else 0
    new = translating.new_texts(foreign, lake.read_table(TRANSLATIONS), pivot, names)
    n_new = new.count() if config.translate.model else 0
    with run.stage("translate", total=n_new, unit="texts") as progress:
        if n_new:
            translator = translator_for_workers(lake, config.translate)
            rows = translating.translate(new, translator, names[-1], pivot, n_texts=n_new)
            lake.append_rows(TRANSLATIONS, rows)
        left = translating.untranslated(foreign, lake.read_table(TRANSLATIONS), pivot, names).count()
        run.counts.update({"translate.brought": n_brought, "translate.texts": n_new, "translate.untranslated": left})
        note = f"{left} texts without a translation stand for themselves" if left else ""
        progress.record_result(rows_in=foreign.count(), rows_out=n_brought + n_new, note=note)


def _translators(config: Config) -> tuple[str, ...]:
    """Names of the translators whose translations count, the best first."""
    brought = (translating.BROUGHT,) if config.inputs.translations else ()
    return brought + ((translators.fingerprint(config.translate),) if config.translate.model else ())


def _bring_translations(run: Run, foreign: DataFrame, pivot: str) -> int:
    """Replaces the brought translations where they differ from those in the lake; rows that are new or changed."""
    config, lake = run.config, run.lake
    path, names = str(config.inputs.translations), config.columns.translations
    raw = read_input(run.spark, path, TRANSLATIONS_INPUT, names, "translations")
    brought = preparing.translations_of(raw, pivot)
    rows = translating.brought_translations(foreign, brought, pivot).persist()
    where = {"pivot": pivot, "translator": translating.BROUGHT}
    old = lake.read_table(TRANSLATIONS).where((F.col("pivot") == pivot) & (F.col("translator") == translating.BROUGHT))
    n_new = rows.exceptAll(old).count()
    if n_new or old.count() != rows.count():
        lake.replace_rows(TRANSLATIONS, rows, where)
    rows.unpersist()
    return n_new


def unified_texts(run: Run) -> DataFrame:
    """The texts that the items' vectors are made of: their own, their translations, or both, as `unify` says."""
    config, texts = run.config, run.texts.read_table(TEXTS)
    if config.unify == "vectors":
        return texts
    pivot, known = translating.pivot_of(config.translate), run.texts.read_table(TRANSLATIONS)
    return translating.unified_texts(texts, known, config.unify, pivot, _translators(config))
