"""Dev retrieval: how often a text's translation is the nearest of 1,000 texts of the pivot language."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xlrec.training.encoder.config import MeasureConfig
from xlrec.training.encoder.texts import Texts

Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """One source and language: the translation of text `queries[i]` is `candidates[i]`, all texts are distinct."""

    source: str
    language: str
    queries: Longs
    candidates: Longs


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


def recall_at_1(queries: Floats, candidates: Floats) -> float:
    """Share of the queries whose nearest candidate is that of the same row; a tie with another one is a miss."""
    scores = queries @ candidates.T
    right = np.diagonal(scores).copy()
    np.fill_diagonal(scores, -np.inf)
    return float(np.mean(right > scores.max(axis=1, initial=-np.inf)))


def measure(tasks: list[Task], encode: Callable[[Longs], Floats]) -> dict[tuple[str, str], float]:
    """Recall at 1 of each (source, language).

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
        found[task.source, task.language] = recall_at_1(vectors[left], vectors[right])
    return found


def watched_mean(found: dict[tuple[str, str], float], languages: tuple[str, ...]) -> float:
    """Mean over sources of the mean over the watched languages, or over all where none is watched; 0 if empty."""
    watched = {key: value for key, value in found.items() if key[1] in languages} or found
    by_source: dict[str, list[float]] = {}
    for (source, _), value in watched.items():
        by_source.setdefault(source, []).append(value)
    return float(np.mean([np.mean(values) for values in by_source.values()])) if by_source else 0.0
