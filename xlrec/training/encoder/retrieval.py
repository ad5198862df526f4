"""Dev retrieval: recall at 1 of a text's translation among 1,000 texts of the pivot language.

Items that the same users chose have no single right answer: there it is how often a chosen item is nearer than another.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from xlrec.kernels.text.bags import Floats, Longs
from xlrec.training.encoder.choices import LAKE_CHOICES, ConceptRows, Flags, crosses_languages, draw_choice_texts
from xlrec.training.encoder.config import MeasureConfig
from xlrec.training.encoder.texts import Texts


class Task(NamedTuple):
    """Queries of one source and language with their candidates, all texts distinct.

    With `also_right` a candidate is no translation but an item that the same users chose, and texts may repeat.
    """

    source: str
    language: str
    queries: Longs
    """(n,) int64 rows of the texts."""
    candidates: Longs
    """(n,) int64 rows of the right answers."""
    also_right: Flags | None = None
    """(n, n) bool candidates that are no wrong answer to a query."""


def _distinct_pairs(texts: Texts, rows: Longs, partners: Longs, most: int, seed: int) -> tuple[Longs, Longs]:
    """At most `most` of the pairs, drawn by the seed; no text of either side occurs twice."""
    order = np.random.default_rng([seed, 2]).permutation(len(rows))
    rows, partners = rows[order], partners[order]
    lefts: set[str] = set()
    rights: set[str] = set()
    kept: list[int] = []
    for place, (left, right) in enumerate(zip(texts.take(rows), texts.take(partners), strict=True)):
        if left not in lefts and right not in rights and len(kept) < most:
            lefts.add(left)
            rights.add(right)
            kept.append(place)
    return rows[kept], partners[kept]


def dev_tasks(texts: Texts, config: MeasureConfig, pivot: str, seed: int) -> list[Task]:
    """Tasks of all sources and languages with enough dev pairs, in order of their names."""
    if pivot not in texts.languages:
        return []
    pivot_num = texts.languages.index(pivot)
    dev = np.flatnonzero(texts.is_dev)
    key = texts.source * (int(texts.concept.max(initial=0)) + 1) + texts.concept
    pivots = dev[texts.language[dev] == pivot_num][::-1]  # the first text of a concept wins
    pivot_of = dict(zip(key[pivots].tolist(), pivots.tolist(), strict=True))
    tasks = []
    for source, language in sorted(set(zip(texts.source[dev].tolist(), texts.language[dev].tolist(), strict=True))):
        rows = dev[(texts.source[dev] == source) & (texts.language[dev] == language)]
        partners = np.array([pivot_of.get(number, -1) for number in key[rows].tolist()], dtype=np.int64)
        rows, partners = rows[partners >= 0], partners[partners >= 0]
        if language != pivot_num and len(rows) >= config.min_pairs:
            queries, candidates = _distinct_pairs(texts, rows, partners, config.candidates, seed)
            if len(queries) >= config.min_pairs:
                tasks.append(Task(texts.sources[source], texts.languages[language], queries, candidates))
    return tasks


def choice_tasks(texts: Texts, config: MeasureConfig, seed: int) -> list[Task]:
    """Tasks of dev pairs that the same users chose, by the query's language; across languages where possible.

    At most `config.candidates` pairs of a language, drawn by the seed.
    """
    rng = np.random.default_rng([seed, 5])
    order = rng.permutation(len(texts.choices))
    dev = texts.choices.select_pairs(order).select_pairs(texts.choices.is_dev[order])
    rows = ConceptRows(texts.concept, texts.language, np.arange(len(texts)), len(texts.languages))
    left, right = draw_choice_texts(rows, dev, texts.language, crosses_languages(rows, dev), rng)
    whole = (left >= 0) & (right >= 0)
    turned = rng.random(len(left)) < 0.5  # which of the two is the query is nobody's choice
    left, right = np.where(turned, right, left)[whole], np.where(turned, left, right)[whole]
    tasks = []
    for language in np.unique(texts.language[left]).tolist():
        mine = np.flatnonzero(texts.language[left] == language)[: config.candidates]
        if len(mine) >= config.min_pairs:
            also_right = _also_right(texts, left[mine], right[mine])
            tasks.append(Task(LAKE_CHOICES, texts.languages[language], left[mine], right[mine], also_right))
    return tasks


def _also_right(texts: Texts, queries: Longs, candidates: Longs) -> Flags:
    """(n, n) whether candidate j is query i's own item, or one that the same users chose with it."""
    n_concepts = int(texts.concept.max(initial=0)) + 1
    known = np.concatenate([
        texts.choices.left * n_concepts + texts.choices.right, texts.choices.right * n_concepts + texts.choices.left
    ])  # fmt: skip
    concepts, others = texts.concept[queries][:, None], texts.concept[candidates][None, :]
    return np.asarray((concepts == others) | np.isin(concepts * n_concepts + others, known), dtype=np.bool_)


def share_nearer(queries: Floats, candidates: Floats, also_right: Flags) -> float:
    """Share of wrong candidates that are farther from query i than candidate i: 0.5 is chance; a tie counts half.

    The mean over the queries with a wrong candidate; 0 if there is none.

    Args:
        queries: (n, dim) float32, unit norm.
        candidates: (n, dim) float32, unit norm.
        also_right: (n, n) bool: candidates that are not wrong.
    """
    scores = queries @ candidates.T
    right = np.diagonal(scores)[:, None]
    below = np.where(scores < right, 1.0, np.where(scores == right, 0.5, 0.0))
    n_wrong = (~also_right).sum(axis=1)
    shares = np.where(also_right, 0.0, below).sum(axis=1)[n_wrong > 0] / n_wrong[n_wrong > 0]
    return float(shares.mean()) if len(shares) else 0.0


def recall_at_1(queries: Floats, candidates: Floats) -> float:
    """Share of the queries whose nearest candidate is that of the same row; a tie with another one is a miss.

    Args:
        queries: (n, dim) float32, unit norm.
        candidates: (n, dim) float32, unit norm.
    """
    scores = queries @ candidates.T
    right = np.diagonal(scores).copy()
    np.fill_diagonal(scores, -np.inf)
    return float(np.mean(right > scores.max(axis=1, initial=-np.inf)))


def measure_tasks(tasks: list[Task], encode: Callable[[Longs], Floats]) -> dict[tuple[str, str], float]:
    """Recall at 1 of each (source, language), or `share_nearer` where users chose.

    `encode` gives (n, dim) float32 unit vectors of (n,) int64 rows of the texts.
    """
    if not tasks:
        return {}
    rows = np.unique(np.concatenate([np.concatenate([task.queries, task.candidates]) for task in tasks]))
    vectors = encode(rows)
    measured = {}
    for task in tasks:
        left, right = np.searchsorted(rows, task.queries), np.searchsorted(rows, task.candidates)
        if task.also_right is None:
            measured[task.source, task.language] = recall_at_1(vectors[left], vectors[right])
        else:
            measured[task.source, task.language] = share_nearer(vectors[left], vectors[right], task.also_right)
    return measured


def source_means(recalls: dict[tuple[str, str], float], languages: tuple[str, ...]) -> dict[str, float]:
    """Mean over the watched languages of each source; over all languages where none of them was measured."""
    watched = {key: value for key, value in recalls.items() if key[1] in languages} or recalls
    by_source: dict[str, list[float]] = {}
    for (source, _), value in watched.items():
        by_source.setdefault(source, []).append(value)
    return {source: float(np.mean(values)) for source, values in by_source.items()}
