"""Sampler of the pairs of a training step, from texts that are not dev."""

from dataclasses import dataclass

import numpy as np

from xlrec.errors import InputError
from xlrec.kernels.text.bags import Longs
from xlrec.training.encoder.choices import LAKE_CHOICES, ConceptRows, crosses_languages, draw_choice_texts
from xlrec.training.encoder.config import BatchConfig, TextsConfig
from xlrec.training.encoder.texts import Texts


@dataclass(frozen=True)
class Pairs:
    """Pairs of sides, each of one or more joined texts: side a of pair i is `a[starts[i]:starts[i + 1]]`, side b alike.

    Texts at one place are of one concept, or of two items that the same users chose.
    """

    a: Longs
    """(n_texts,) int64 rows of the texts, as `b`."""
    b: Longs
    starts: Longs  # (n_pairs + 1,)

    def __len__(self) -> int:
        return len(self.starts) - 1


class Sampler:
    """Draws pairs of training texts by source and language."""

    def __init__(self, texts: Texts, chosen: TextsConfig, config: BatchConfig) -> None:
        """Sorts the rows by source and language, and by concept and language.

        Raises:
            InputError: there is no concept with texts in two languages.
        """
        self._config, self._n_languages = config, len(texts.languages)
        train = np.flatnonzero(~texts.is_dev)
        self._concept, self._language = texts.concept, texts.language
        self.pivot = texts.languages.index(config.pivot) if config.pivot in texts.languages else -1
        self._by_concept = ConceptRows(texts.concept, texts.language, train, self._n_languages)
        self._choices = texts.choices.select_pairs(~texts.choices.is_dev)
        self._crossing = np.flatnonzero(crosses_languages(self._by_concept, self._choices))
        if not len(self._crossing) and not config.same_language_share:
            self._choices = self._choices.select_pairs(np.zeros(len(self._choices), dtype=np.bool_))
        self._cells(texts, train, chosen)

    def _cells(self, texts: Texts, train: Longs, chosen: TextsConfig) -> None:
        """Rows by (source, language), without the pivot's, and how often each cell is drawn."""
        concepts = np.unique(self._by_concept.keys) // self._n_languages
        if len(np.unique(concepts)) == len(concepts) and not len(self._choices):
            raise InputError("texts: no concept has texts in two languages: there is nothing to learn from")
        rows = train[texts.language[train] != self.pivot]
        if LAKE_CHOICES in texts.sources:  # items with one language, which are met in pairs only
            rows = rows[texts.source[rows] != texts.sources.index(LAKE_CHOICES)]
        cell = texts.source[rows] * self._n_languages + texts.language[rows]
        order = np.argsort(cell, kind="stable")
        self._rows = rows[order]
        cells, starts, counts = np.unique(cell[order], return_index=True, return_counts=True)
        self._starts, self._counts = starts, counts
        self._cell_source, self._cell_language = np.divmod(cells, self._n_languages)
        languages = np.array([chosen.language_weights.get(name, 1.0) for name in texts.languages])
        within = languages[self._cell_language] * counts**chosen.temperature
        sums = np.bincount(self._cell_source, weights=within, minlength=len(texts.sources))
        self._within = within / sums[self._cell_source]
        weights = [chosen.source_weights.get(name, 1.0) for name in texts.sources]
        self._source_weights = np.where(sums > 0, weights, 0.0)
        self._languages = languages / languages.sum()
        if len(self._choices):  # one more source with one cell, the last
            weight = chosen.source_weights.get(LAKE_CHOICES, 1.0)
            self._cell_source = np.append(self._cell_source, len(self._source_weights))
            self._within, self._source_weights = np.append(self._within, 1.0), np.append(self._source_weights, weight)
        if self._source_weights.sum() <= 0:
            raise InputError("texts.source_weights: no source is left to train on: give one a weight above 0")

    def _partners(self, rows: Longs, languages: Longs, rng: np.random.Generator) -> Longs:
        """(n,) text of the same concept in that language, drawn among several; -1 where there is none."""
        return self._by_concept.in_language(self._concept[rows], languages, rng)

    def _draw_cells(self, n: int, rng: np.random.Generator) -> Longs:
        """(n,) cells, of a few sources."""
        share = self._source_weights / self._source_weights.sum()
        n_sources = min(self._config.sources, int((share > 0).sum()))
        sources = rng.choice(len(share), size=n_sources, replace=False, p=share)
        weights = np.where(np.isin(self._cell_source, sources), self._within, 0.0)
        return rng.choice(len(weights), size=n, p=weights / weights.sum())

    def draw_pairs(self, rng: np.random.Generator, n: int | None = None) -> Pairs:
        """About n pairs, or as many as the config says; pairs without a text in the drawn language are left out."""
        cells = self._draw_cells(n or self._config.pairs, rng)
        of_texts = cells < len(self._starts)
        pairs = self._draw_texts(cells[of_texts], rng)
        return join_pairs(pairs, self._draw_choices(int((~of_texts).sum()), rng)) if len(self._choices) else pairs

    def _draw_choices(self, n: int, rng: np.random.Generator) -> Pairs:
        """About n pairs of items that the same users chose, most of them across languages where possible."""
        across = (rng.random(n) >= self._config.same_language_share) & (len(self._crossing) > 0)
        place = rng.random(n)
        crossing = self._crossing if len(self._crossing) else np.zeros(1, dtype=np.int64)
        drawn = crossing[(place * len(crossing)).astype(np.int64)]
        drawn = np.where(across, drawn, (place * len(self._choices)).astype(np.int64))
        a, b = draw_choice_texts(self._by_concept, self._choices.select_pairs(drawn), self._language, across, rng)
        keep = (a >= 0) & (b >= 0)
        return Pairs(a[keep], b[keep], np.arange(int(keep.sum()) + 1))

    def _draw_texts(self, cells: Longs, rng: np.random.Generator) -> Pairs:
        """About one pair for each cell, both sides of the same concepts."""
        n = len(cells)
        join_pairs = rng.random(n) < self._config.joined_share
        sizes = np.where(join_pairs, rng.integers(2, max(3, self._config.max_joined + 1), size=n), 1)
        slot = np.repeat(np.arange(n), sizes)
        place = self._starts[cells][slot] + (rng.random(len(slot)) * self._counts[cells][slot]).astype(np.int64)
        a = self._rows[place]
        to_pivot = (rng.random(n) < self._config.pivot_share) & (self.pivot >= 0)
        languages = np.where(to_pivot, self.pivot, rng.choice(len(self._languages), size=n, p=self._languages))
        b = self._partners(a, languages[slot], rng)
        if self.pivot >= 0:  # a drawn language that this concept lacks becomes the pivot, for all of a pair
            lacking = np.bincount(slot, weights=b < 0, minlength=n) > 0
            languages = np.where(lacking, self.pivot, languages)
            b = np.where(lacking[slot], self._partners(a, languages[slot], rng), b)
        keep = (b >= 0) & (self._language[a] != languages[slot])
        a, b, slot = a[keep], b[keep], slot[keep]
        starts = np.append(np.flatnonzero(np.diff(slot, prepend=-1)), len(slot))
        return Pairs(a, b, starts)


def join_pairs(first: Pairs, second: Pairs) -> Pairs:
    """Pairs of both."""
    starts = np.concatenate([first.starts, first.starts[-1] + second.starts[1:]])
    return Pairs(np.concatenate([first.a, second.a]), np.concatenate([first.b, second.b]), starts)
