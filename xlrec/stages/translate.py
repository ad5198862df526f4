"""Translate: texts of items in one pivot language, cached by content, and the texts that are embedded."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, cast

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec import translators
from xlrec.config.models import TranslateConfig
from xlrec.encoders.on_worker import load_on_worker
from xlrec.errors import ConfigError
from xlrec.kernels.text.text import canonical_language
from xlrec.runtime.devices import gpu_profile, task_device
from xlrec.runtime.worker import keep_worker_light
from xlrec.tables import TRANSLATIONS

if TYPE_CHECKING:
    import pyarrow as pa

#: Translator name of the user's own translations.
BROUGHT = "brought"
_KEY = ("text_hash", "language")
_Names = tuple[str, ...]


def pivot_of(config: TranslateConfig) -> str:
    """The canonical tag of the pivot language.

    Raises:
        ConfigError: it names no language.
    """
    tag = canonical_language(config.pivot)
    if tag is None:
        raise ConfigError(f"translate.pivot is {config.pivot!r}, which is no language: set a BCP 47 tag such as en")
    return tag


def foreign_texts(texts: DataFrame, pivot: str) -> DataFrame:
    """The rows of `tables.TEXTS` whose item has no text in the pivot language, its best translation."""
    native = texts.where(F.col("language") == pivot).select("item_id").distinct()
    return texts.join(native, "item_id", "left_anti")


def brought_translations(foreign: DataFrame, brought: DataFrame, pivot: str) -> DataFrame:
    """Rows of `tables.TRANSLATIONS`: the user's own translations (item_id, text) of the foreign texts.

    A translation belongs to a text, not to an item: of two items with one text the alphabetically first counts.
    """
    pairs = foreign.select("item_id", *_KEY).join(brought.withColumnRenamed("text", "theirs"), "item_id")
    rows = pairs.groupBy(*_KEY).agg(F.min("theirs").alias("text"))
    return rows.select(*_KEY, F.lit(pivot).alias("pivot"), F.lit(BROUGHT).alias("translator"), "text").to(
        TRANSLATIONS.schema
    )


def new_texts(foreign: DataFrame, translations: DataFrame, pivot: str, translator_names: _Names) -> DataFrame:
    """Distinct (text_hash, language, text) of `foreign` that no named translator has translated yet."""
    known = _of(translations, pivot, translator_names).select(*_KEY)
    texts = foreign.where(F.col("text") != "").select(*_KEY, "text")
    return texts.join(known, list(_KEY), "left_anti").dropDuplicates(list(_KEY))


def _of(translations: DataFrame, pivot: str, translator_names: _Names) -> DataFrame:
    return translations.where((F.col("pivot") == pivot) & F.col("translator").isin(*translator_names))


def _translator(config_json: str, fingerprint: str) -> translators.Seq2SeqTranslator:
    config = TranslateConfig.model_validate_json(config_json)

    def loaded(folder: str | None, n_threads: int | None, local_only: bool) -> translators.Seq2SeqTranslator:
        device = task_device(config.device, "translate.device")
        return translators.load(config.model_copy(update={"model": folder}), device, n_threads, local_only=local_only)

    return load_on_worker(loaded, str(config.model), fingerprint, "translate.model")


def translate(new: DataFrame, config: TranslateConfig, fingerprint: str, pivot: str, *, n_texts: int) -> DataFrame:
    """Translations of the new texts by the model, as rows of `tables.TRANSLATIONS`.

    Tasks have about `texts_per_task` of the n_texts; the fingerprint is that of `translators`.
    """
    n_tasks = max(1, -(-n_texts // config.texts_per_task))
    config_json = config.model_dump_json()

    def translated(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        keep_worker_light()
        translator = _translator(config_json, fingerprint)
        for batch in batches:
            texts, languages = (cast("list[str]", batch.column(name).to_pylist()) for name in ("text", "language"))
            translations = pa.array(translator.translate(texts, languages), pa.string())
            fixed = [pa.repeat(value, batch.num_rows) for value in (pivot, fingerprint)]
            columns = [*(batch.column(name) for name in _KEY), *fixed, translations]
            yield pa.RecordBatch.from_arrays(columns, TRANSLATIONS.schema.names)

    # Sorted by content, batches are the same whatever came before.
    tasks = new.repartition(n_tasks, *_KEY).sortWithinPartitions(*_KEY).select(*_KEY, "text")
    return tasks.mapInArrow(translated, TRANSLATIONS.schema, profile=gpu_profile(new.sparkSession, config.device))


def unified_texts(
    texts: DataFrame, translations: DataFrame, unify: Literal["pivot", "both"], pivot: str, translator_names: _Names
) -> DataFrame:
    """(item_id, language, text, text_hash): the distinct texts of each item that are embedded.

    pivot: an item's own text in the pivot language, else its texts' translations, and the text itself where it has
    none. both: these and the item's own texts. Of several translators' translations that of the first one counts.
    """
    columns = ("item_id", "language", "text", "text_hash")
    own = texts.select(*columns)
    foreign = foreign_texts(texts, pivot).select(*columns)
    rank = F.array_position(F.lit(list(translator_names)), F.col("translator"))
    known = _of(translations, pivot, translator_names).where(F.col("text") != "")
    best = known.groupBy(*_KEY).agg(F.min_by("text", rank).alias("theirs"))
    there = foreign.join(best, list(_KEY), "left").select(
        "item_id",
        F.when(F.col("theirs").isNotNull(), F.lit(pivot)).otherwise(F.col("language")).alias("language"),
        F.coalesce("theirs", "text").alias("text"),
        F.coalesce(F.sha2(F.encode("theirs", "UTF-8"), 256), "text_hash").alias("text_hash"),
    )
    unified = there.unionByName(own if unify == "both" else own.where(F.col("language") == pivot))
    chosen = (F.min("language").alias("language"), F.first("text").alias("text"))
    return unified.groupBy("item_id", "text_hash").agg(*chosen)


def untranslated(foreign: DataFrame, translations: DataFrame, pivot: str, translator_names: _Names) -> DataFrame:
    """Rows of `foreign` without a translation, or with an empty one: they are embedded as they are."""
    known = _of(translations, pivot, translator_names).where(F.col("text") != "").select(*_KEY).distinct()
    return foreign.join(known, list(_KEY), "left_anti")
