"""Translate: texts of items in one pivot language, cached by content, and the texts that are embedded."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, cast

from pydantic import SecretStr
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xlrec import translators
from xlrec.config.models import TranslateConfig
from xlrec.encoders.on_worker import load_on_worker
from xlrec.runtime.devices import gpu_profile, task_device
from xlrec.runtime.worker import keep_worker_light
from xlrec.tables import TRANSLATIONS, UNTRANSLATED
from xlrec.translators.base import NOTHING_WRITTEN, PASSING
from xlrec.translators.conversation import BYTES_PER_TOKEN, token_rates

if TYPE_CHECKING:
    import pyarrow as pa

#: Translator name of the user's own translations.
BROUGHT = "brought"
#: Reason of texts that no translator has answered yet.
NOT_YET = "not_yet"
_KEY = ("text_hash", "language")
#: Columns of a `translators.Translation`.
_MADE = ("text", "reason", "read_tokens", "written_tokens")
_ANSWERS = (
    "text_hash string, language string, pivot string, translator string, text string, reason string, "
    "read_tokens bigint, written_tokens bigint"
)
_Names = tuple[str, ...]


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


def texts_of_night(new: DataFrame, config: TranslateConfig, pivot: str) -> DataFrame:
    """The new texts of the lowest hashes, within the texts and estimated tokens that a night of a chat model has."""
    chat = config.chat
    night = new.orderBy(*_KEY).limit(chat.texts_per_night)
    if chat.tokens_per_night is None:
        return night
    (read, read_of_byte), (written, written_of_byte) = token_rates(config, pivot)
    n_bytes = F.least(F.octet_length(F.encode("text", "UTF-8")), F.lit(BYTES_PER_TOKEN * config.max_tokens))
    order = Window.orderBy(*_KEY).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    tokens = F.sum(n_bytes * (read_of_byte + written_of_byte) + (read + written)).over(order)
    return night.withColumn("_tokens", tokens).where(F.col("_tokens") <= chat.tokens_per_night).drop("_tokens")


def round_of(night: DataFrame, number: int, n_rounds: int) -> DataFrame:
    """The texts of one round of the night, by hash: each round is written before the next one begins."""
    digits = F.conv(F.substring("text_hash", 1, 8), 16, 10).cast("bigint")
    return night.where(F.pmod(digits, F.lit(n_rounds)) == number)


def _translator(config_json: str, fingerprint: str, key: SecretStr | None, n_requests: int) -> translators.Translator:
    config = TranslateConfig.model_validate_json(config_json)
    if config.endpoint is not None:
        return translators.connect(config, key, n_requests)

    def loaded(folder: str | None, n_threads: int | None, local_only: bool) -> translators.Translator:
        device = task_device(config.device, "translate.device")
        return translators.load(config.model_copy(update={"model": folder}), device, n_threads, local_only=local_only)

    return load_on_worker(loaded, str(config.model), fingerprint, "translate.model")


def translate(
    new: DataFrame, config: TranslateConfig, fingerprint: str, pivot: str, *, n_texts: int, key: SecretStr | None = None
) -> DataFrame:
    """Translations of the new texts by the model: `tables.TRANSLATIONS` with reason, read_tokens and written_tokens.

    Tasks have about `texts_per_task` of the n_texts; those of a server have more where `requests_at_once` needs fewer
    tasks. The fingerprint is that of `translators`, the key that of the server.
    """
    n_tasks = max(1, -(-n_texts // config.texts_per_task))
    if config.endpoint is not None:
        n_tasks = min(n_tasks, config.chat.requests_at_once, new.sparkSession.sparkContext.defaultParallelism)
    n_requests = config.chat.requests_at_once // n_tasks
    config_json = config.model_dump_json()

    def translated(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        keep_worker_light()
        translator = _translator(config_json, fingerprint, key, n_requests)
        kinds: list[pa.DataType] = [pa.string(), pa.string(), pa.int64(), pa.int64()]
        schema = pa.schema(list(zip(_MADE, kinds, strict=True)))
        for batch in batches:
            texts, languages = (cast("list[str]", batch.column(name).to_pylist()) for name in ("text", "language"))
            fixed = [pa.repeat(value, batch.num_rows) for value in (pivot, fingerprint)]
            made = [one._asdict() for one in translator.translate(texts, languages)]
            answers = pa.RecordBatch.from_pylist(made, schema)
            columns = [*(batch.column(name) for name in _KEY), *fixed, *answers.columns]
            yield pa.RecordBatch.from_arrays(columns, [*_KEY, "pivot", "translator", *_MADE])

    # Sorted by content, batches are the same whatever came before.
    tasks = new.repartition(n_tasks, *_KEY).sortWithinPartitions(*_KEY).select(*_KEY, "text")
    profile = None if config.endpoint is not None else gpu_profile(new.sparkSession, config.device)
    return tasks.mapInArrow(translated, _ANSWERS, profile=profile)


def valid_rows(answers: DataFrame) -> DataFrame:
    """Rows of `tables.TRANSLATIONS` of the model's answers."""
    return answers.where(F.col("reason") == "").select(*TRANSLATIONS.schema.names)


def lasting_failures(answers: DataFrame) -> DataFrame:
    """Rows of `tables.UNTRANSLATED` of the model's answers; a server's failures are not among them, which pass."""
    return answers.where((F.col("reason") != "") & ~F.col("reason").isin(*PASSING)).select(*UNTRANSLATED.schema.names)


def outcomes(answers: DataFrame) -> DataFrame:
    """(reason, n, read_tokens, written_tokens) of the answers; the reason of valid ones is ''."""
    sums = (F.sum(name).alias(name) for name in ("read_tokens", "written_tokens"))
    return answers.groupBy("reason").agg(F.count("*").alias("n"), *sums)


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


def untranslated(
    foreign: DataFrame, translations: DataFrame, failures: DataFrame, pivot: str, translator_names: _Names
) -> DataFrame:
    """(reason, n): rows of `foreign` without a translation, which are embedded as they are, by reason.

    failures are rows of `tables.UNTRANSLATED`. Texts that no translator has answered yet are `not_yet`.
    """
    known = _of(translations, pivot, translator_names)
    left = foreign.join(known.where(F.col("text") != "").select(*_KEY).distinct(), list(_KEY), "left_anti")
    empty = known.where(F.col("text") == "").select(*_KEY, F.lit(NOTHING_WRITTEN).alias("reason"))
    failed = _of(failures, pivot, translator_names).select(*_KEY, "reason").unionByName(empty)
    reasons = failed.groupBy(*_KEY).agg(F.min("reason").alias("reason"))
    rows = left.join(reasons, list(_KEY), "left").select(F.coalesce("reason", F.lit(NOT_YET)).alias("reason"))
    return rows.groupBy("reason").agg(F.count("*").alias("n"))
