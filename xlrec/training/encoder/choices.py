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

from xlrec.training.encoder.concepts import ConceptRows

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
pc: Any = pyarrow.compute
#: Source of the items with texts in several languages, and of the pairs.
LAKE_TEXTS, LAKE_CHOICES = "lake-texts", "lake-choices"


@dataclass(frozen=True)
class Choices:
    """Pairs of concepts, left ≠ right."""

    left: Longs
    """(n_pairs,) int64, as `right`."""
    right: Longs
    is_dev: Flags
    """(n_pairs,) bool."""

    def __len__(self) -> int:
        return len(self.left)

    def select_pairs(self, keep: Flags | Longs) -> "Choices":
        """Pairs that a (n_pairs,) bool mask keeps, or at (n,) int64 places."""
        return Choices(self.left[keep], self.right[keep], self.is_dev[keep])


def no_choices() -> Choices:
    """No pair."""
    return Choices(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_))


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
