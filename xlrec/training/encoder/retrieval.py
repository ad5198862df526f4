"""Dev retrieval: how often a text's translation is the nearest of 1,000 texts of the pivot language.

Of items that the same users chose there is no one right answer: there it is how often a chosen one is nearer than one
that is not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xlrec.training.encoder.choices import LAKE_CHOICES, draw_texts, may_cross
from xlrec.training.encoder.concepts import ConceptRows
from xlrec.training.encoder.config import MeasureConfig
from xlrec.training.encoder.texts import Texts

Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """One source and language: the translation of text `queries[i]` is `candidates[i]`, all texts are distinct.

    With `also_right` it is not the translation but an item that the same users chose, and texts may repeat.
    """

    source: str
    language: str
    queries: Longs
    candidates: Longs
    also_right: Flags | None = None
    """(n, n) candidates that are no wrong answer to a query."""


def _distinct_pairs(texts: Texts, rows: Longs, partners: Longs, most: int, seed: int) -> tuple[Longs, Longs]:
    """At most `most` of the pairs, no text of either side twice, drawn by the seed."""
    order = np.random.default_rng([seed, 2]).permutation(len(rows))
    rows, partners = rows[order], partners[order]
    left, right = np.array(texts.take(rows), dtype=object), np.array(texts.take(partners), dtype=object)
    seen_left: set[str] = set()
    seen_right: set[str] = set()
    kept = []
    for place, (one, other) in enumerate(zip(left, right, strict=True)):
        if one not in seen_left and other not in seen_right:
            seen_left.add(one)
            seen_right.add(other)
            kept.append(place)
        if len(kept) == most:
            break
    return rows[kept], partners[kept]


def dev_tasks(texts: Texts, config: MeasureConfig, pivot: str, seed: int) -> list[Task]:
    """The tasks of all sources and languages with enough dev pairs, in order of their names."""
    if pivot not in texts.languages:
        return []
    pivot_num = texts.languages.index(pivot)
    dev = np.flatnonzero(texts.is_dev)
    pivots = dev[texts.language[dev] == pivot_num]
    key = texts.source[pivots] * (int(texts.concept.max(initial=0)) + 1) + texts.concept[pivots]
    keys, first = np.unique(key, return_index=True)
    tasks = []
    for source, language in sorted(set(zip(texts.source[dev].tolist(), texts.language[dev].tolist(), strict=True))):
        rows = dev[(texts.source[dev] == source) & (texts.language[dev] == language)]
        wanted = source * (int(texts.concept.max(initial=0)) + 1) + texts.concept[rows]
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        found = keys[place] == wanted if len(keys) else np.zeros(len(rows), dtype=np.bool_)
        if language == pivot_num or found.sum() < config.min_pairs:
            continue
        queries, candidates = _distinct_pairs(texts, rows[found], pivots[first[place[found]]], config.candidates, seed)
        if len(queries) >= config.min_pairs:
            tasks.append(Task(texts.sources[source], texts.languages[language], queries, candidates))
    return tasks


def choice_tasks(texts: Texts, config: MeasureConfig, seed: int) -> list[Task]:
    """Tasks of the dev pairs that the same users chose, by the language of the query; across languages where possible.

    At most `candidates` pairs of a language, drawn by the seed.
    """
    rng = np.random.default_rng([seed, 5])
    order = rng.permutation(len(texts.choices))
    dev = texts.choices.chosen(order).chosen(texts.choices.is_dev[order])
    rows = ConceptRows(texts.concept, texts.language, np.arange(len(texts)), len(texts.languages))
    left, right = draw_texts(rows, dev, texts.language, may_cross(rows, dev), rng)
    whole = (left >= 0) & (right >= 0)
    turned = rng.random(len(left)) < 0.5  # which of the two is the query is nobody's choice
    left, right = np.where(turned, right, left)[whole], np.where(turned, left, right)[whole]
    tasks = []
    for language in np.unique(texts.language[left]).tolist():
        mine = np.flatnonzero(texts.language[left] == language)[: config.candidates]
        if len(mine) >= config.min_pairs:
            task = Task(LAKE_CHOICES, texts.languages[language], left[mine], right[mine])
            tasks.append(replace(task, also_right=_also_right(texts, task)))
    return tasks


def _also_right(texts: Texts, task: Task) -> Flags:
    """(n, n) whether candidate j is query i's own item, or one that the same users chose with it."""
    n_concepts = int(texts.concept.max(initial=0)) + 1
    known = np.concatenate([
        texts.choices.left * n_concepts + texts.choices.right, texts.choices.right * n_concepts + texts.choices.left
    ])  # fmt: skip
    one, other = texts.concept[task.queries][:, None], texts.concept[task.candidates][None, :]
    return np.asarray((one == other) | np.isin(one * n_concepts + other, known), dtype=np.bool_)


def share_nearer(queries: Floats, candidates: Floats, also_right: Flags) -> float:
    """How often candidate i is nearer to query i than a candidate that is not right: 0.5 is chance; a tie is half.

    The mean over the queries with a candidate that is not right; 0 if there is none.
    """
    scores = queries @ candidates.T
    right = np.diagonal(scores)[:, None]
    below = np.where(scores < right, 1.0, np.where(scores == right, 0.5, 0.0))
    n_wrong = (~also_right).sum(axis=1)
    shares = np.where(also_right, 0.0, below).sum(axis=1)[n_wrong > 0] / n_wrong[n_wrong > 0]
    return float(shares.mean()) if len(shares) else 0.0


def recall_at_1(queries: Floats, candidates: Floats) -> float:
    """Share of the queries whose nearest candidate is that of the same row; a tie with another one is a miss."""
    scores = queries @ candidates.T
    right = np.diagonal(scores).copy()
    np.fill_diagonal(scores, -np.inf)
    return float(np.mean(right > scores.max(axis=1, initial=-np.inf)))


def measure(tasks: list[Task], encode: Callable[[Longs], Floats]) -> dict[tuple[str, str], float]:
    """Recall at 1 of each (source, language), and `share_nearer` where users chose.

    Args:
        tasks: of `dev_tasks`.
        encode: unit vectors of rows of the texts.
    """
    if not tasks:
        return {}
    rows = np.unique(np.concatenate([np.concatenate([task.queries, task.candidates]) for task in tasks]))
    vectors = encode(rows)
    found = {}
    for task in tasks:
        left, right = np.searchsorted(rows, task.queries), np.searchsorted(rows, task.candidates)
        if task.also_right is None:
            found[task.source, task.language] = recall_at_1(vectors[left], vectors[right])
        else:
            found[task.source, task.language] = share_nearer(vectors[left], vectors[right], task.also_right)
    return found


def watched_mean(found: dict[tuple[str, str], float], languages: tuple[str, ...]) -> float:
    """Mean over sources of the mean over the watched languages, or over all where none is watched; 0 if empty."""
    watched = {key: value for key, value in found.items() if key[1] in languages} or found
    by_source: dict[str, list[float]] = {}
    for (source, _), value in watched.items():
        by_source.setdefault(source, []).append(value)
    return float(np.mean([np.mean(values) for values in by_source.values()])) if by_source else 0.0
