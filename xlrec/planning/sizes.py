"""Sizes of a night's inputs: rows from Parquet footers, distinct users and items from their id columns."""

import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.errors import InputError
from xlrec.planning.translation import texts_to_translate
from xlrec.runtime import machine


@dataclass(frozen=True)
class Sizes:
    """Counts that the cost of a night depends on."""

    users: int  # users who get a list
    active: int  # users with events
    items: int
    texts: int  # rows of the catalogue
    new_texts: int  # texts whose vectors the lake does not hold
    events: int
    markets: int
    input_bytes: int
    untranslated: int = 0  # texts that a chat model would be asked for
    text_bytes: int = 0  # of a text, on average; 0 where no chat model translates

    def scale(self, users: int | None, items: int | None) -> "Sizes":
        """Sizes with other numbers of users or items, each with as many events or texts; None keeps a number."""
        factors = dict.fromkeys(("users", "active", "events"), 1.0 if users is None else users / max(1, self.users))
        factors |= dict.fromkeys(
            ("items", "texts", "new_texts", "untranslated"), 1.0 if items is None else items / max(1, self.items)
        )
        return replace(self, **{name: round(getattr(self, name) * factor) for name, factor in factors.items()})


def read_sizes(config: Config) -> Sizes:
    """Sizes of the config's inputs.

    Raises:
        InputError: An input is missing, remote or lacks a column; who writes the config mends it.
        EncoderError: The encoder is not pinned, so that the texts in the lake cannot be counted.
    """
    catalog, log = _open_input(config, "catalog"), _open_input(config, "interactions")
    people = _open_input(config, "users") if config.inputs.users else None
    active, n_texts = _count_distinct(config, log, "interactions", "user_id"), catalog.count_rows()
    untranslated = text_bytes = 0
    if config.unify != "vectors" and config.translate.model and config.translate.is_chat:
        brought = _open_input(config, "translations") if config.inputs.translations else None
        untranslated, text_bytes = texts_to_translate(config, catalog, brought)
    return Sizes(
        users=max(active, people.count_rows() if people else 0),
        active=active,
        items=_count_distinct(config, catalog, "catalog", "item_id"),
        texts=n_texts,
        new_texts=max(0, n_texts - _embedded_texts(config)),
        events=log.count_rows(),
        markets=_count_markets(config, catalog),
        input_bytes=sum(Path(file).stat().st_size for data in (catalog, log, people) if data for file in data.files),
        untranslated=untranslated,
        text_bytes=text_bytes,
    )


def _open_input(config: Config, name: str) -> Any:
    """The dataset of an input's Parquet files on this machine; hidden files and others are skipped."""
    place = getattr(config.inputs, name)
    folder = machine.local_folder(place)
    if folder is None:
        raise InputError(
            f"inputs.{name} is {place}, which lies elsewhere: `xlrec plan` reads files of this machine; copy a share "
            "of the files here, name it with --set, and give the whole's --users and --items"
        )
    roots = sorted(glob.glob(str(folder)))
    files = [file for root in roots for file in ds.dataset(root, format="parquet", exclude_invalid_files=True).files]
    if not files:
        raise InputError(f"there is no Parquet file for {name} at {place}: correct inputs.{name} in the config")
    return ds.dataset(files, format="parquet")


def _count_distinct(config: Config, data: Any, name: str, column: str) -> int:
    """Distinct values of a column; its values are held in memory."""
    source = getattr(config.columns, name).get(column, column)
    if source not in data.schema.names:
        raise InputError(
            f"{name} has no column {source}, it has {', '.join(data.schema.names)}: map it in columns.{name} of the "
            "config"
        )
    return int(pc.count_distinct(data.to_table(columns=[source])[source]).as_py())


def _count_markets(config: Config, catalog: Any) -> int:
    source = config.columns.catalog.get("markets", "markets")
    if source not in catalog.schema.names:
        return 1
    lists = catalog.head(100_000, columns=[source])[source]
    return len(set().union(*(markets for markets in lists.to_pylist() if markets))) or 1


def _embedded_texts(config: Config) -> int:
    """Vectors of the config's encoder in the lake, by the footers of its files; 0 for a lake elsewhere."""
    lake = machine.local_folder(config.lake)
    if lake is None or not (lake / "embeddings").is_dir():
        return 0
    files = (lake / "embeddings" / f"fingerprint={encoders.fingerprint(config.embed)}").glob("*.parquet")
    return sum(pq.read_metadata(file).num_rows for file in files)
