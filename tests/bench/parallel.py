"""Pairs of translations and the pools they are searched in, chosen by hash: the same ones on every machine."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import pyarrow.dataset as ds

from xlrec.kernels.text.text import canonical_language

#: The language that all others are measured against.
PIVOT: Final = "en"
#: Languages whose mean is reported for labels and sentences.
LANGUAGES: Final = ("zh", "ja", "ko", "de", "fr", "es", "it", "pt", "ru", "ar", "tr", "vi", "th", "hi", "id", "pl")
#: Files of short labels; all others hold sentences.
LABELS: Final = (
    "shopify-product-taxonomy", "osm-id-tagging-schema", "unicode-cldr", "open-multilingual-wordnet", "wiktionary",
    "open-food-facts-taxonomies", "eu-procurement-vocabulary", "openrct2-objects",
)  # fmt: skip
#: The file that is for measuring only; each of its sources is a set of its own.
MEASURING: Final = "dev-sentences"

#: A text by concept and language.
Texts = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Pairs:
    """Texts of one language and what they say in English, which stands at the same place of the pool."""

    language: str
    queries: tuple[str, ...]
    pool: tuple[str, ...]
    """The translations first, then English texts of other concepts."""


@dataclass(frozen=True)
class Case:
    """One row of contexts.tsv."""

    kind: str
    word: str
    query_language: str
    query: str
    right_language: str
    right: str
    wrong_language: str
    wrong: str


def order(text: str) -> bytes:
    """Sorts texts at random, the same way everywhere."""
    return blake2b(text.encode(), digest_size=8).digest()


def read_sets(folder: Path) -> dict[str, Texts]:
    """The dev rows as sets: labels, sentences, and each source of dev-sentences."""
    found: dict[str, Texts] = {}
    for path in sorted(folder.glob("*.parquet")):
        table = ds.dataset(path).to_table(
            columns=["concept_id", "language", "text", "source"], filter=ds.field("split") == "dev"
        )
        name = "labels" if path.stem in LABELS else "sentences"
        for row in table.to_pylist():
            texts = found.setdefault(row["source"] if path.stem == MEASURING else name, {})
            language = canonical_language(row["language"])
            if language and row["text"]:
                by_language = texts.setdefault(row["concept_id"], {})
                by_language[language] = min(by_language.get(language, row["text"]), row["text"], key=order)
    return found


def languages_of(texts: Texts, at_least: int) -> list[str]:
    """Languages with so many translations from English, sorted."""
    counts: dict[str, int] = {}
    for by_language in texts.values():
        for language in by_language if PIVOT in by_language else ():
            counts[language] = counts.get(language, 0) + 1
    return sorted(name for name, n in counts.items() if n >= at_least and name != PIVOT)


def pairs_of(texts: Texts, language: str, n_pool: int) -> Pairs:
    """Up to n_pool pairs, in a pool of n_pool English texts where there are so many; no text occurs twice."""
    queries: list[str] = []
    answers: list[str] = []
    fillers: list[str] = []
    seen: set[tuple[str, str]] = set()
    for concept in sorted(texts, key=order):
        answer, query = texts[concept].get(PIVOT), texts[concept].get(language)
        if answer is None or (PIVOT, answer.casefold()) in seen:
            continue
        if query is None:
            fillers.append(answer)
        elif len(queries) < n_pool and (language, query.casefold()) not in seen:
            seen |= {(PIVOT, answer.casefold()), (language, query.casefold())}
            queries.append(query)
            answers.append(answer)
    more = {text.casefold(): text for text in fillers if (PIVOT, text.casefold()) not in seen}
    return Pairs(language, tuple(queries), tuple([*answers, *more.values()][: max(n_pool, len(answers))]))


def read_cases(path: Path) -> list[Case]:
    """The suite of words that mean different things."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Case(**row) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def by(cases: Iterable[Case], key: str) -> Mapping[str, list[int]]:
    """Rows of the cases by one of their columns."""
    found: dict[str, list[int]] = {}
    for row, case in enumerate(cases):
        found.setdefault(getattr(case, key), []).append(row)
    return found
