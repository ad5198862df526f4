"""Parallel texts in memory, each for training or for dev.

A concept is dev or train as a whole, so that no translation of a dev text is trained on. With a lake, where items of
equal texts are common, a text that equals a dev text is not trained on either.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from xlrec.errors import InputError
from xlrec.training.encoder.choices import Choices, no_choices, read_choices
from xlrec.training.encoder.config import LakeConfig, TextsConfig

#: Its stubs know arrays of one type only.
pc: Any = pyarrow.compute
_NEEDED = ("concept_id", "language", "text")
_OPTIONAL = ("source", "licence", "split")
_LISTED = ("language", "text", "count")
#: How often each word of a language is met, in the order of its list.
WordLists = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Texts:
    """n_texts texts; numbers index `languages`, `sources` and `licences`, concepts count from 0."""

    text: Any
    """Arrow array of strings."""
    concept: npt.NDArray[np.int64]  # (n_texts,), as the next two
    language: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    is_dev: npt.NDArray[np.bool_]  # (n_texts,)
    languages: tuple[str, ...]
    sources: tuple[str, ...]
    licences: dict[str, tuple[str, ...]]
    """Licences of each source's training rows."""
    choices: Choices = field(default_factory=no_choices)
    """Pairs of concepts that belong together without saying the same."""

    def __len__(self) -> int:
        return len(self.text)

    def take(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Texts of (n,) int64 rows."""
        return [str(text) for text in self.text.take(pa.array(rows)).to_pylist()]


def _files(path: str, key: str = "texts.path") -> list[Path]:
    """Parquet files at the path, in order of their names; `key` of the config names it."""
    place = Path(path)
    files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place] if place.is_file() else []
    if not files:
        raise InputError(f"{key}: no Parquet file at {path}: name a file or a folder of parallel texts")
    return files


def _read_file(file: Path) -> pa.Table:
    """(concept_id, language, text, source, licence, split) of one file; a missing source is its name, others are ''."""
    names = pq.read_schema(file).names
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(
            f"texts.path: {file.name} has no column {', '.join(missing)}; seen: {', '.join(names)}; "
            f"needed: {', '.join(_NEEDED)}"
        )
    table = pq.read_table(file, columns=[*_NEEDED, *(name for name in _OPTIONAL if name in names)])
    for name in _OPTIONAL:
        if name not in names:
            table = table.append_column(name, pa.repeat(file.stem if name == "source" else "", len(table)))
    columns = [pc.fill_null(table[name].cast(pa.string()), "") for name in (*_NEEDED, *_OPTIONAL)]
    return pa.table(columns, names=[*_NEEDED, *_OPTIONAL])


def is_dev_concept(concept_id: str, share: float) -> bool:
    """Whether a concept is dev by the hash of its id, where no column says so."""
    number = int.from_bytes(hashlib.sha256(concept_id.encode()).digest()[:8], "big")
    return number < share * 2**64


def _numbered(column: Any) -> tuple[npt.NDArray[np.int64], list[str]]:
    """(n,) int64 number of each value, and the values in order: numbers do not depend on the order of files."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    values, rank = np.unique(np.array(encoded.dictionary.to_pylist(), dtype=object), return_inverse=True)
    return rank[encoded.indices.to_numpy()], values.tolist()


def _kept(table: pa.Table, config: TextsConfig) -> pa.Table:
    """Rows that the config does not exclude, each (concept, language, text) once."""
    keep = pc.and_(pc.not_equal(table["text"], ""), pc.not_equal(table["concept_id"], ""))
    for start in config.exclude_licences:
        keep = pc.and_(keep, pc.invert(pc.starts_with(table["licence"], start)))
    if config.exclude_sources:
        keep = pc.and_(keep, pc.invert(pc.is_in(table["source"], pa.array(config.exclude_sources))))
    table = table.filter(keep)
    keys = table.select(["concept_id", "language", "text"]).append_column("row", pa.array(np.arange(len(table))))
    first = keys.group_by(["concept_id", "language", "text"]).aggregate([("row", "min")])["row_min"]
    return table.take(pa.array(np.sort(first.to_numpy())))


def _copied(lake: LakeConfig) -> Path:
    """Folder with the lake's texts and choices, which Spark wrote."""
    if lake.copied is None:
        raise InputError("texts.lake is not read yet: Spark does it, call xlrec.pipeline.adapting.adapt")
    return Path(lake.copied)


def _read(config: TextsConfig) -> pa.Table:
    """All rows, those of a lake in an order that does not depend on how Spark cut its files."""
    tables = [_read_file(file) for file in _files(config.path)] if config.path is not None else []
    if config.lake is not None:
        files = _files(str(_copied(config.lake) / "texts"), "texts.lake")
        own = pa.concat_tables([_read_file(file) for file in files])
        tables.append(own.sort_by([(name, "ascending") for name in _NEEDED]))
    return pa.concat_tables(tables)


def _dev_concepts(table: pa.Table, config: TextsConfig, ids: list[str], concept: Any) -> npt.NDArray[np.bool_]:
    """(n_concepts,) bool: a row of the concept says dev or is of a measured source; of the others a share."""
    sources = sorted(str(name) for name in pc.unique(table["source"]).to_pylist())
    unknown = sorted(set(config.measure_sources) - set(sources))
    if unknown:
        raise InputError(f"texts.measure_sources: no source {', '.join(unknown)}; seen: {', '.join(sources)}")
    split = table["split"].to_numpy()
    measured = pc.is_in(table["source"], value_set=pa.array(config.measure_sources, pa.string())).to_numpy()
    is_dev = np.zeros(len(ids), dtype=np.bool_)
    is_dev[concept[(split == "dev") | measured]] = True
    unsplit = np.unique(concept[split == ""])
    hashed = (is_dev_concept(ids[num], config.dev_share) for num in unsplit.tolist())
    is_dev[unsplit] |= np.fromiter(hashed, dtype=np.bool_, count=len(unsplit))
    return is_dev


def read_word_lists(config: TextsConfig) -> WordLists:
    """Words of each language and how often each is met; none where the config names no lists.

    Raises:
        InputError: no file is there, or it lacks a column.
    """
    lists: WordLists = {}
    for file in _files(config.word_lists.path, "texts.word_lists.path") if config.word_lists is not None else []:
        missing = [name for name in _LISTED if name not in pq.read_schema(file).names]
        if missing:
            raise InputError(
                f"texts.word_lists.path: {file.name} has no column {', '.join(missing)}; needed: {', '.join(_LISTED)}"
            )
        for row in pq.read_table(file, columns=list(_LISTED)).to_pylist():
            lists.setdefault(row["language"], {})[row["text"]] = row["count"]
    return lists


def read_texts(config: TextsConfig) -> Texts:
    """Texts that the config does not exclude, split into training and dev.

    Raises:
        InputError: no file, column or measured source is there, or no row is left.
    """
    table = _kept(_read(config), config)
    if not len(table):
        where = config.path or "texts.lake"
        raise InputError(f"texts.path: no row of {where} is left after the filters: loosen texts.exclude_*")
    concept, ids = _numbered(table["concept_id"])
    dev_concept = _dev_concepts(table, config, ids, concept)
    choices = no_choices()
    if config.lake is not None:
        choices = read_choices(_copied(config.lake) / "choices", ids, dev_concept)
        is_dev = dev_concept[concept]
        of_dev = pc.unique(table["text"].filter(pa.array(is_dev))).cast(pa.string())
        kept = is_dev | ~pc.is_in(table["text"], value_set=of_dev).to_numpy()  # no training text equals a dev text
        table, concept = table.filter(pa.array(kept)), concept[kept]
    language, languages = _numbered(table["language"])
    source, sources = _numbered(table["source"])
    is_dev = dev_concept[concept]
    named = zip(source[~is_dev].tolist(), table["licence"].to_numpy()[~is_dev].tolist(), strict=True)
    pairs = {(sources[num], str(name)) for num, name in named}
    licences = {name: tuple(sorted(which for origin, which in pairs if origin == name)) for name in sources}
    text = table["text"].combine_chunks()
    return Texts(text, concept, language, source, is_dev, tuple(languages), tuple(sources), licences, choices)
