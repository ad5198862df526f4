"""Language-neutral text vectors: each language's mean, and the directions between the means, are removed.

Source: Libovický, Rosa and Fraser 2020, "On the language neutrality of pre-trained multilingual representations"
(centring by language); Yang et al. 2021, "A simple and effective method to eliminate the self language bias in
multilingual representations" (projecting out leading directions).
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Binary digits behind the point of a fixed-point sum: 2^31 vectors of unit norm add up without overflow.
FIXED_POINT_BITS: Final = 32
#: A vector that is this short once its language is removed holds nothing else: it becomes zero.
_NOTHING: Final = 1e-6
#: Between-language directions whose singular value is below this share of the largest are roundings.
_RANK: Final = 1e-6


class LanguageOffsets(NamedTuple):
    """Offsets and directions of languages, as `fit_language_offsets` estimates them; small enough for every worker."""

    languages: tuple[str, ...]
    """Sorted."""
    offsets: NDArray[np.float32]
    """(n_languages + 1, dim), the last one for any other language."""
    directions: NDArray[np.float32]
    """(n_directions, dim), orthonormal."""

    @property
    def fingerprint(self) -> str:
        """32 hex digits: the same for the same content."""
        total = hashlib.sha256(json.dumps([self.languages, self.offsets.shape], ensure_ascii=False).encode())
        for part in (self.offsets, self.directions):
            total.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
        return total.hexdigest()[:32]

    def taken_out(self, vectors: NDArray[np.float32], tags: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32 language-neutral vectors, as `remove_language` gives them, of (n, dim) float32 unit vectors.

        Of the n BCP 47 tags an unknown one takes the offset of other languages.
        """
        places = {tag: row for row, tag in enumerate(self.languages)}
        rows = np.array([places.get(tag, len(self.languages)) for tag in tags], dtype=np.int64)
        return remove_language(vectors, rows, self.offsets, self.directions)


def fixed_sums(
    vectors: NDArray[np.float32], rows: NDArray[np.integer], n_languages: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n_languages,) int64 counts of vectors that are not zero, and (n_languages, dim) int64 sums in fixed point.

    Integer sums have the same bits in every order, so partial sums may be added in any order.

    Args:
        vectors: (n, dim) float32, numbers in [-1, 1].
        rows: (n,) integer language of each, from 0.
        n_languages: number of all languages.
    """
    fixed = np.rint(vectors.astype(np.float64) * 2.0**FIXED_POINT_BITS).astype(np.int64)
    sums = np.zeros((n_languages, vectors.shape[1]), dtype=np.int64)
    for language in np.unique(rows):
        sums[language] = fixed[rows == language].sum(axis=0)
    return np.bincount(rows[vectors.any(axis=1)], minlength=n_languages), sums


def fit_language_offsets(
    counts: NDArray[np.int64], sums: NDArray[np.int64], *, min_texts: int, prior_texts: float, n_directions: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n_languages + 1, dim) float32 offsets, the last one for other languages; (n_found, dim) float32 directions.

    An offset is the mean of the language, shrunk towards the mean of all texts. A language that is not known, or has
    few texts, has the mean of all texts. The directions are orthonormal: the leading ones between the offsets, weighted
    by their texts. There are fewer where there are fewer languages. With fewer than two languages all is zero.

    Args:
        counts: (n_languages,) int64 of `fixed_sums`.
        sums: (n_languages, dim) int64 of `fixed_sums`.
        min_texts: a language with fewer has the mean of all texts.
        prior_texts: texts by whose number an offset is shrunk.
        n_directions: directions, at most.
    """
    n_languages, dim = sums.shape
    known = counts >= max(min_texts, 1)
    if known.sum() < 2:
        return np.zeros((n_languages + 1, dim), dtype=np.float32), np.zeros((0, dim), dtype=np.float32)
    total = int(counts.sum())
    whole = sums.sum(axis=0, dtype=np.float64) / 2.0**FIXED_POINT_BITS / total
    weights = np.where(known, counts / (np.maximum(counts, 1) + prior_texts), 0.0)
    ways = weights[:, None] * (sums / 2.0**FIXED_POINT_BITS / np.maximum(counts, 1)[:, None] - whole)
    _, sizes, axes = np.linalg.svd(np.sqrt(counts / total)[:, None] * ways, full_matrices=False)
    real = sizes > _RANK * max(float(sizes[0]), _RANK)
    directions = axes[: min(n_directions, int(real.sum()))]
    offsets = np.concatenate([whole + ways, whole[None]])
    return offsets.astype(np.float32), directions.astype(np.float32)


def remove_language(
    vectors: NDArray[np.float32],
    rows: NDArray[np.integer],
    offsets: NDArray[np.float32],
    directions: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(n, dim) float32 of unit norm without offset and directions; zero where the vector is, or nothing is left.

    A row's bits do not depend on the other rows.

    Args:
        vectors: (n, dim) float32, unit norm.
        rows: (n,) integer row of each vector's language in offsets.
        offsets: (n_languages, dim) float32.
        directions: (n_directions, dim) float32, orthonormal.
    """
    found = np.zeros(vectors.shape, dtype=np.float32)
    _take_out(np.ascontiguousarray(vectors), rows.astype(np.int64), offsets, directions, found)
    return found


@njit(cache=True)
def _take_out(vectors, rows, offsets, directions, found):  # type: ignore[no-untyped-def]
    dim = vectors.shape[1]
    rest = np.empty(dim, dtype=np.float64)
    for row in range(len(vectors)):
        some = False
        for slot in range(dim):
            some |= vectors[row, slot] != 0.0
            rest[slot] = np.float64(vectors[row, slot]) - np.float64(offsets[rows[row], slot])
        for way in range(len(directions)):
            along = 0.0
            for slot in range(dim):
                along += rest[slot] * directions[way, slot]
            for slot in range(dim):
                rest[slot] -= along * directions[way, slot]
        norm = 0.0
        for slot in range(dim):
            norm += rest[slot] * rest[slot]
        norm = np.sqrt(norm)
        if some and norm > _NOTHING:
            for slot in range(dim):
                found[row, slot] = rest[slot] / norm
