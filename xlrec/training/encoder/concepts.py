"""Index of texts by concept and language, for drawing a partner of a text."""

import numpy as np
import numpy.typing as npt

Longs = npt.NDArray[np.int64]


class ConceptRows:
    """Index of some texts by concept and language; every draw takes one random number a concept."""

    def __init__(self, concept: Longs, language: Longs, rows: Longs, n_languages: int) -> None:
        """Sorts (n,) int64 rows that may be drawn by the (n_texts,) concept and language of each text."""
        self._n_languages = n_languages
        key = concept[rows] * n_languages + language[rows]
        order = np.argsort(key, kind="stable")
        self.keys, self.rows = key[order], rows[order]

    def in_language(self, concepts: Longs, languages: Longs, rng: np.random.Generator) -> Longs:
        """(n,) int64 text of each of (n,) concepts in its (n,) language; -1 where there is none."""
        return self._between(*self._span(concepts, languages), rng)

    def in_any(self, concepts: Longs, rng: np.random.Generator) -> Longs:
        """(n,) int64 text of each of (n,) concepts; -1 where there is none."""
        return self._between(*self._whole(concepts), rng)

    def in_another(self, concepts: Longs, languages: Longs, rng: np.random.Generator) -> Longs:
        """(n,) int64 text of each of (n,) concepts in any but its (n,) language; -1 where there is none."""
        first, last = self._whole(concepts)
        left_out, after = self._span(concepts, languages)
        n_out = after - left_out
        place = first + (rng.random(len(concepts)) * (last - first - n_out)).astype(np.int64)
        place = np.where(place >= left_out, place + n_out, place)
        return self._at(place, last - first > n_out)

    def only_language(self, concepts: Longs) -> Longs:
        """(n,) int64 language of each of (n,) concepts that have one alone; -1 of the others."""
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

    def _at(self, place: Longs, known: npt.NDArray[np.bool_]) -> Longs:
        if not len(self.rows):
            return np.full(len(place), -1, dtype=np.int64)
        return np.where(known, self.rows[np.clip(place, 0, len(self.rows) - 1)], -1)
