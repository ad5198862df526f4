"""Pairs of items that the same users chose: they belong together without saying the same.

A pair is dev where either item is, so that no text of a dev item is trained on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
pc: Any = pyarrow.compute
#: Source of the items with texts in several languages, and of the pairs.
LAKE_TEXTS, LAKE_CHOICES = "lake-texts", "lake-choices"


@dataclass(frozen=True)
class Choices:
    """Pairs of concepts, left ≠ right."""

    left: Longs  # (n_pairs,), as `right`
    right: Longs
    is_dev: Flags  # (n_pairs,)

    def __len__(self) -> int:
        return len(self.left)

    def select_pairs(self, keep: Flags | Longs) -> "Choices":
        """Pairs that a (n_pairs,) bool mask keeps, or at (n,) int64 places."""
        return Choices(self.left[keep], self.right[keep], self.is_dev[keep])


def no_choices() -> Choices:
    """No pair."""
    return Choices(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_))


class ConceptRows:
    """Index of some texts by concept and language; every draw takes one random number a concept."""

    def __init__(self, concept: Longs, language: Longs, rows: Longs, n_languages: int) -> None:
        """Sorts (n,) int64 rows that may be drawn by the (n_texts,) int64 concept and language of each text."""
        self._n_languages = n_languages
        key = concept[rows] * n_languages + language[rows]
        order = np.argsort(key, kind="stable")
        self.keys, self.rows = key[order], rows[order]

    def in_language(self, concepts: Longs, languages: Longs, rng: np.random.Generator) -> Longs:
        """(n,) int64 text of each of (n,) int64 concepts in its (n,) int64 language; -1 where there is none."""
        return self._between(*self._span(concepts, languages), rng)

    def in_any(self, concepts: Longs, rng: np.random.Generator) -> Longs:
        """(n,) int64 text of each of (n,) int64 concepts; -1 where there is none."""
        return self._between(*self._whole(concepts), rng)

    def in_another(self, concepts: Longs, languages: Longs, rng: np.random.Generator) -> Longs:
        """(n,) int64 text of each of (n,) int64 concepts in any but its (n,) int64 language; -1 where there is none."""
        first, last = self._whole(concepts)
        left_out, after = self._span(concepts, languages)
        n_out = after - left_out
        place = first + (rng.random(len(concepts)) * (last - first - n_out)).astype(np.int64)
        place = np.where(place >= left_out, place + n_out, place)
        return self._at(place, last - first > n_out)

    def only_language(self, concepts: Longs) -> Longs:
        """(n,) int64 language of each of (n,) int64 concepts that have one alone; -1 of the others."""
        first, last = self._whole(concepts)
        if not len(self.keys):
            return np.full(len(concepts), -1, dtype=np.int64)
        top = len(self.keys) - 1
        low, high = self.keys[np.minimum(first, top)], self.keys[np.clip(last - 1, 0, top)]
        return np.where((last > first) & (low == high), low % self._n_languages, -1)

    def _span(self, concepts: Longs, languages: Longs) -> tuple[Longs, Longs]:
        key = concepts * self._n_languages + languages
        return np.searchsorted(self.keys, key, "left"), np.searchsorted(self.keys, key, "right")

    def _whole(self, concepts: Longs) -> tuple[Longs, Longs]:
        first = np.searchsorted(self.keys, concepts * self._n_languages, "left")
        return first, np.searchsorted(self.keys, (concepts + 1) * self._n_languages, "left")

    def _between(self, first: Longs, last: Longs, rng: np.random.Generator) -> Longs:
        return self._at(first + (rng.random(len(first)) * (last - first)).astype(np.int64), last > first)

    def _at(self, place: Longs, known: Flags) -> Longs:
        if not len(self.rows):
            return np.full(len(place), -1, dtype=np.int64)
        return np.where(known, self.rows[np.clip(place, 0, len(self.rows) - 1)], -1)


def read_choices(folder: Path, ids: list[str], dev_concept: Flags) -> Choices:
    """Pairs of (left_id, right_id) in Parquet whose items both have a text, in order of their numbers, each once.

    `ids` are concept_ids by number, `dev_concept` is (n_concepts,) bool.
    """
    table = pq.read_table(folder, columns=["left_id", "right_id"])
    known = pa.array(ids, pa.string())
    sides = [pc.fill_null(pc.index_in(table[name], value_set=known), -1) for name in ("left_id", "right_id")]
    pairs = np.stack([np.asarray(side.to_numpy(), dtype=np.int64) for side in sides], axis=1)
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    pairs = pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])]
    left, right = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    return Choices(left, right, dev_concept[left] | dev_concept[right])


def draw_choice_texts(
    rows: ConceptRows, choices: Choices, language: Longs, across: Flags, rng: np.random.Generator
) -> tuple[Longs, Longs]:
    """(n_pairs,) int64 texts of the left and of the right items; -1 where there is none as wanted.

    `language` is (n_texts,) int64; where `across`, (n_pairs,) bool, the two texts must be in different languages.
    """
    left = rows.in_any(choices.left, rng)
    other = rows.in_another(choices.right, np.where(left < 0, 0, language[left]), rng)
    right = np.where(across, other, rows.in_any(choices.right, rng))
    return left, np.where(left < 0, -1, right)


def crosses_languages(rows: ConceptRows, choices: Choices) -> Flags:
    """(n_pairs,) bool: the pair's two texts can be in different languages."""
    left, right = rows.only_language(choices.left), rows.only_language(choices.right)
    return np.asarray((left < 0) | (right < 0) | (left != right), dtype=np.bool_)
