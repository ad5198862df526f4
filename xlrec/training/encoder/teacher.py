"""A teacher: an encoder whose vectors concepts and words are taught.

A concept's target is the mean of the teacher's vectors of a few of its texts, each in another language: where one of
them has several meanings, the others say which. So texts in languages that the teacher does not know are taught too.
Source: Reimers & Gurevych 2020, "Making monolingual sentence embeddings multilingual using knowledge distillation".
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from xlrec.errors import InputError
from xlrec.kernels.base.csr import first_entries
from xlrec.kernels.text.bags import Floats, Longs
from xlrec.training.encoder.config import AdaptConfig, TeacherConfig
from xlrec.training.encoder.sampler import Pairs
from xlrec.training.encoder.static import unit_rows
from xlrec.training.encoder.texts import Texts, WordLists

_SLAB = 8192
#: Vectors that the principal directions are found from.
_N_SAMPLE = 100_000
Log = Callable[[str], None]


class Targets(NamedTuple):
    """Targets of concepts and of listed words, in as many numbers as the student has."""

    concepts: Floats
    """(n_concepts, dim) float32 unit norm; zero where the teacher knows no text of the concept."""
    words: Floats
    """(n_words, dim) float32 unit norm."""
    spelled: list[str]
    """The n_words words."""

    def of_pairs(self, pairs: Pairs, concept: Longs) -> Floats:
        """(n_pairs, dim) float32 unit norm: the sum of the targets of a pair's concepts.

        Zero where one of them has none, or where the two sides do not say the same. `concept` is (n_texts,) int64.
        """
        ours = concept[pairs.a]
        known = (ours == concept[pairs.b]) & self.concepts[ours].any(axis=1)
        sums = np.add.reduceat(self.concepts[ours], pairs.starts[:-1], axis=0) if len(pairs) else self.concepts[:0]
        whole = np.logical_and.reduceat(known, pairs.starts[:-1]) if len(pairs) else known[:0]
        return unit_rows(np.where(whole[:, None], sums, 0))


def taught_texts(texts: Texts, config: TeacherConfig, pivot: str) -> tuple[Longs, Longs]:
    """(rows, concepts) of the training texts that the teacher reads, (n,) int64 each.

    Of each concept the pivot's first text, and the first ones of other languages by hash.
    """
    known = np.array([name in config.languages for name in texts.languages])
    rows = np.flatnonzero(~texts.is_dev & known[texts.language])
    keys = texts.concept[rows] * len(texts.languages) + texts.language[rows]
    rows = rows[np.unique(keys, return_index=True)[1]]
    ranks = [
        -1 if texts.languages[language] == pivot else crc32(f"{texts.languages[language]} {concept}".encode())
        for language, concept in zip(texts.language[rows].tolist(), texts.concept[rows].tolist(), strict=True)
    ]
    rows = rows[np.lexsort((np.array(ranks), texts.concept[rows]))]
    concepts = texts.concept[rows]
    bounds = np.append(np.flatnonzero(np.diff(concepts, prepend=-1)), len(rows))
    _, kept = first_entries(bounds, config.texts_per_concept)
    return rows[kept], concepts[kept]


def taught_words(lists: WordLists, config: TeacherConfig) -> list[str]:
    """The first words of the lists in the teacher's languages, each once, in order of language and place."""
    return list(dict.fromkeys(
        word for name in sorted(lists) if name in config.languages for word in list(lists[name])[: config.max_words]
    ))  # fmt: skip


class _Store:
    """Vectors of a teacher by content, float16, as parts in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys = [np.load(file) for file in sorted(folder.glob("keys-*.npy"))]
        self._vectors = [np.load(folder / f"vectors-{part:06d}.npy", mmap_mode="r") for part in range(len(self._keys))]

    def missing(self, keys: npt.NDArray[np.uint64]) -> Longs:
        """(n,) int64 first places of the keys that have no vector yet."""
        distinct, first = np.unique(keys, return_index=True)
        return np.sort(first[~np.isin(distinct, np.concatenate([*self._keys, keys[:0]]))])

    def add(self, keys: npt.NDArray[np.uint64], vectors: npt.NDArray[np.float16]) -> None:
        """Keeps (n, dim) vectors of (n,) keys; the keys come last, so that a part that breaks off is not there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for kind, array in (("vectors", vectors), ("keys", keys)):
            own = self._folder / f".{kind}-{os.getpid()}.npy"
            np.save(own, array)
            os.replace(own, self._folder / f"{kind}-{len(self._keys):06d}.npy")
        self._keys.append(keys)
        self._vectors.append(vectors)

    def find(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.float16]:
        """(n, dim) float16 vectors of known keys."""
        known = np.concatenate(self._keys)
        order = np.argsort(known, kind="stable")
        return np.asarray(np.concatenate(self._vectors)[order[np.searchsorted(known, keys, sorter=order)]])


def _content_keys(texts: list[str]) -> npt.NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype=np.uint64)


def teacher_vectors(texts: list[str], config: TeacherConfig, work: Path, log: Log) -> npt.NDArray[np.float16]:
    """(n_texts, dim) float16 vectors of the teacher; those that the work folder has are not computed again.

    Raises:
        EncoderError: the teacher is not here.
    """
    from xlrec.config.models import EmbedConfig
    from xlrec.encoders import load

    encoder = load(EmbedConfig(encoder=config.encoder, device="cpu"))
    store = _Store(work / f"teacher-{hashlib.sha256(encoder.fingerprint.encode()).hexdigest()[:16]}")
    keys = _content_keys(texts)
    missing = store.missing(keys)
    for start in range(0, len(missing), _SLAB):
        some = missing[start : start + _SLAB]
        store.add(keys[some], encoder.encode([texts[place] for place in some.tolist()]).astype(np.float16))
        log(f"teacher: {start + len(some):,} of {len(missing):,} texts")
    return store.find(keys)


def principal_directions(vectors: Floats, dim: int) -> tuple[Floats, Floats]:
    """(mean, directions) of (n, own_dim) float32 vectors: float32 (own_dim,) and (own_dim, min(dim, own_dim)).

    Directions are orthonormal, those of the largest variance first.
    """
    mean = vectors.mean(axis=0)
    _, directions = np.linalg.eigh((vectors - mean).T @ (vectors - mean))
    return mean, np.asarray(directions[:, ::-1][:, :dim], dtype=np.float32)


def read_targets(config: AdaptConfig, texts: Texts, lists: WordLists, dim: int, log: Log) -> Targets:
    """Targets of all concepts and of the listed words, cut to `dim` numbers by their principal directions.

    Zeros fill up where the teacher has fewer.

    Raises:
        EncoderError: the teacher is not here.
        InputError: no text is in a language that it knows.
    """
    assert config.teacher is not None  # noqa: S101  # for the type checker
    rows, concepts = taught_texts(texts, config.teacher, config.batch.pivot)
    if not len(rows):
        raise InputError(
            f"teacher.languages: no text to train on is in {', '.join(config.teacher.languages)}: name them as "
            f"the texts do, such as {', '.join(texts.languages[:5])}"
        )
    words = taught_words(lists, config.teacher)
    vectors = teacher_vectors([*texts.take(rows), *words], config.teacher, Path(config.work), log).astype(np.float32)
    mean, directions = principal_directions(vectors[: len(rows)][:: max(1, len(rows) // _N_SAMPLE)], dim)
    short = np.zeros((len(vectors), dim), dtype=np.float32)
    short[:, : directions.shape[1]] = unit_rows((vectors - mean) @ directions)
    sums = np.zeros((int(texts.concept.max(initial=-1)) + 1, dim), dtype=np.float32)
    np.add.at(sums, concepts, short[: len(rows)])
    return Targets(unit_rows(sums), short[len(rows) :], words)
