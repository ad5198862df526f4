"""A teacher of the pivot language: both sides of a pair should come near to its vectors, cut to fewer numbers."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.sampler import Pairs
from xlrec.training.encoder.texts import Texts

Floats = npt.NDArray[np.float32]
_SLAB = 4096


def principal(vectors: Floats, dim: int) -> Floats:
    """(n, dim) unit norm: the first principal components of the centred vectors; zeros fill up where dim is more."""
    if dim >= vectors.shape[1]:
        return np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1])))
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    found = centred @ directions[:, ::-1][:, :dim]
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), dtype=np.float32)


class Teacher:
    """Vectors of the pivot's texts that are trained on."""

    def __init__(self, rows: npt.NDArray[np.int64], vectors: Floats, concept: npt.NDArray[np.int64]) -> None:
        """Takes unit vectors of these rows of the texts, and the concept of every text."""
        self._vectors, self._concept = vectors, concept
        self._place = np.full(len(concept), -1, dtype=np.int64)
        self._place[rows] = np.arange(len(rows))

    def of_pairs(self, pairs: Pairs) -> Floats:
        """(n_pairs, dim) unit norm: the sum of the vectors of each pair's pivot texts.

        Zero where it has none, or where the two sides do not say the same.
        """
        found = np.zeros((len(pairs), self._vectors.shape[1]), dtype=np.float32)
        slot = np.repeat(np.arange(len(pairs)), np.diff(pairs.starts))
        alike = self._concept[pairs.a] == self._concept[pairs.b]
        for side in (pairs.a, pairs.b):
            place = np.where(alike, self._place[side], -1)
            known = place >= 0
            np.add.at(found, slot[known], self._vectors[place[known]])
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def teach(config: AdaptConfig, texts: Texts, dim: int, say: Callable[[str], None]) -> Teacher | None:
    """The teacher that the config names; its vectors are kept in the work folder.

    Raises:
        EncoderError: its folder is missing or is no model.
    """
    from xlrec.encoders import load

    if config.loss.teacher is None or config.batch.pivot not in texts.languages:
        return None
    rows = np.flatnonzero((texts.language == texts.languages.index(config.batch.pivot)) & ~texts.is_dev)
    spelled = texts.take(rows)
    distinct = sorted(set(spelled))
    key = hashlib.sha256("\0".join([config.loss.teacher, *distinct]).encode()).hexdigest()[:16]
    file = Path(config.work) / f"teacher-{key}.npy"
    if not file.is_file():
        encoder = load(config.loss.teacher)  # on an executor the JSON of a config, which names a folder there
        parts = []
        for start in range(0, len(distinct), _SLAB):
            parts.append(encoder.encode(distinct[start : start + _SLAB]))
            say(f"teacher: {start:,} of {len(distinct):,} texts")
        file.parent.mkdir(parents=True, exist_ok=True)
        own = file.with_name(f".{file.stem}-{os.getpid()}.npy")  # several processes may write it
        np.save(own, np.concatenate(parts))
        os.replace(own, file)
    vectors = principal(np.load(file), dim)
    place = {text: number for number, text in enumerate(distinct)}
    return Teacher(rows, vectors[[place[text] for text in spelled]], texts.concept)
