"""Forecast of a chat model's work: texts without a translation in; tokens, their price and seconds out."""

from typing import Any, Final, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

from xlrec import translators
from xlrec.config.models import Config
from xlrec.kernels.text.text import canonical_language
from xlrec.runtime import machine
from xlrec.translators.conversation import BYTES_PER_TOKEN, token_rates

#: Seconds of the stage itself, and of a server's answer to one text.
_FIXED_S, _ANSWER_S = 8.0, 2.0
#: Core-seconds of a million parameters for a token read, and for one written, in batches on a CPU.
_READ_RATE, _WRITTEN_RATE = 6e-5, 4e-4
#: Million parameters of a model that is not on this machine yet.
_UNKNOWN_M: Final = 500.0
_HEAD: Final = 100_000  # rows of the catalogue that tell how long a text is


class TranslationCost(NamedTuple):
    """Cost of the texts that a chat model writes in one night."""

    texts: int
    waiting: int  # texts beyond the night's limits
    read_tokens: int
    written_tokens: int
    price: float
    seconds: float


def forecast_translation(config: Config, untranslated: int, text_bytes: float, cores: int) -> TranslationCost:
    """Cost of the night's share of the texts without a translation, of text_bytes each on average."""
    chat = config.translate.chat
    n_bytes = min(text_bytes, BYTES_PER_TOKEN * config.translate.max_tokens)
    rates = token_rates(config.translate, translators.pivot_of(config.translate))
    read, written = (fixed + n_bytes * of_byte for fixed, of_byte in rates)
    most = chat.texts_per_night
    if chat.tokens_per_night is not None:
        most = min(most, int(chat.tokens_per_night / (read + written)))
    texts = min(untranslated, most)
    price = texts * (read * chat.read_price + written * chat.written_price) / 1e6
    each = _ANSWER_S / chat.requests_at_once
    if config.translate.endpoint is None:
        each = _million_parameters(config) * (read * _READ_RATE + written * _WRITTEN_RATE) / cores
    seconds = _FIXED_S + texts * each
    return TranslationCost(texts, untranslated - texts, int(texts * read), int(texts * written), price, seconds)


def texts_to_translate(config: Config, catalog: Any, brought: Any | None) -> tuple[int, int]:
    """Texts of the catalogue that a chat model would be asked for, and the mean UTF-8 bytes of a text; datasets in.

    Those whose translations the lake or the user has are left out; a lake elsewhere has none.
    """
    pivot = translators.pivot_of(config.translate)
    theirs = _items_in(brought, config.columns.translations, pivot) if brought is not None else set()
    ids, tags = (
        _column(catalog, config.columns.catalog, "item_id"),
        _column(catalog, config.columns.catalog, "language"),
    )
    native = {item for item, tag in zip(ids, tags, strict=True) if canonical_language(tag) == pivot} | theirs
    n_foreign = sum(item not in native for item in ids)
    head = catalog.head(_HEAD)
    columns = [
        head[name]
        for name in map(_named(config.columns.catalog), ("title", "description"))
        if name in head.schema.names
    ]
    n_bytes = sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in columns)
    return max(0, n_foreign - _answered(config, pivot)), n_bytes // max(1, head.num_rows)


def _items_in(brought: Any, names: dict[str, str], pivot: str) -> set[str]:
    rows = zip(_column(brought, names, "item_id"), _column(brought, names, "language"), strict=True)
    return {item for item, tag in rows if canonical_language(tag) == pivot}


def _named(names: dict[str, str]) -> Any:
    return lambda column: names.get(column, column)


def _column(data: Any, names: dict[str, str], column: str) -> list[Any]:
    source = names.get(column, column)
    if source not in data.schema.names:
        return [None] * data.count_rows()
    values: list[Any] = data.to_table(columns=[source])[source].to_pylist()
    return values


def _answered(config: Config, pivot: str) -> int:
    """Texts that the lake has the model's answer to, by the footers of its files."""
    lake = machine.local_folder(config.lake)
    if lake is None:
        return 0
    below = f"pivot={pivot}/translator={translators.fingerprint(config.translate)}/*.parquet"
    files = [file for table in ("translations", "untranslated") for file in (lake / table).glob(below)]
    return sum(pq.read_metadata(file).num_rows for file in files)


def _million_parameters(config: Config) -> float:
    """Parameters of the model's float32 files, in millions."""
    folder = machine.local_folder(str(config.translate.model))
    if folder is None or not folder.is_dir():
        return _UNKNOWN_M
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 4e6
