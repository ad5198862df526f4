"""Alignment of the vectors of two languages: retrieval of translations, language bias, senses of words.

Similarity is the inner product of unit vectors in float64. Whatever is as near as the right answer, to `TIE`, counts as
nearer: an encoder that cannot tell two texts apart gets no credit, and a zero vector never finds anything.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Similarities this close are equal: roundings of a matrix product, whatever its shape, are far smaller.
TIE: Final = 1e-9

Vectors = NDArray[np.float32]


class Bias(NamedTuple):
    """How far a pool of two languages falls apart by language."""

    own_language: float
    """Share of the queries whose nearest other text is in their own language, while the translation is in the other."""
    mean_rank: float
    """Mean rank of the translation among all other texts of both languages; 1 is best."""


def translation_ranks(queries: Vectors, pool: Vectors) -> NDArray[np.int64]:
    """(n,) 1-based rank of row i of the pool for query i: 1 plus the other rows that are at least as near.

    Args:
        queries: (n, dim) unit norm; row i has the meaning of row i of the pool.
        pool: (n_pool, dim) unit norm, n_pool >= n; rows after the n-th are further texts.

    Raises:
        ValueError: the pool has fewer rows than there are queries; the caller pairs them.
    """
    if len(pool) < len(queries):
        raise ValueError(f"{len(queries)} queries, but only {len(pool)} texts in the pool: row i must answer query i")
    scores = queries.astype(np.float64) @ pool.astype(np.float64).T
    right = np.arange(len(queries))
    reach = scores[right, right][:, None] - TIE
    return np.asarray(np.maximum((scores >= reach).sum(axis=1), 1))


def retrieval_at_1(queries: Vectors, pool: Vectors) -> float:
    """Share of the queries whose translation is the nearest text of the pool, alone; NaN for no queries."""
    ranks = translation_ranks(queries, pool)
    return float((ranks == 1).mean()) if len(ranks) else float("nan")


def language_bias(left: Vectors, right: Vectors) -> Bias:
    """Bias in the pool of both languages, each text asking for its translation; NaN for no texts.

    A query is not in its own pool. Where a text of its own language and one of the other are equally near, to `TIE`,
    its own counts as nearest.

    Args:
        left: (n, dim) unit norm, one language.
        right: (n, dim) unit norm, the other; row i has the meaning of row i of `left`.

    Raises:
        ValueError: they have not the same shape.
    """
    if left.shape != right.shape:
        raise ValueError(f"vectors of shapes {left.shape} and {right.shape}: row i of both must say the same")
    if not len(left):
        return Bias(float("nan"), float("nan"))
    parts = [_bias(left, right), _bias(right, left)]
    owns, ranks = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Bias(float(owns.mean()), float(ranks.mean()))


def _bias(asking: Vectors, others: Vectors) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(n,) whether the nearest text is in the query's language, (n,) rank of its translation among 2n - 1 texts."""
    wide = asking.astype(np.float64)
    own = wide @ wide.T
    np.fill_diagonal(own, -np.inf)
    foreign = wide @ others.astype(np.float64).T
    translation = np.diagonal(foreign)[:, None] - TIE
    ranks = np.maximum((foreign >= translation).sum(axis=1), 1) + (own >= translation).sum(axis=1)
    return own.max(axis=1) >= foreign.max(axis=1) - TIE, ranks


def told_apart(queries: Vectors, right: Vectors, wrong: Vectors) -> NDArray[np.bool_]:
    """(n,) true where the query is nearer to the right text than to the wrong one, by more than `TIE`.

    Args:
        queries: (n, dim) unit norm.
        right: (n, dim) unit norm: the same sense.
        wrong: (n, dim) unit norm: the same word in another sense.
    """
    wide = queries.astype(np.float64)
    nearer = np.einsum("ij,ij->i", wide, right.astype(np.float64) - wrong.astype(np.float64))
    return np.asarray(nearer > TIE)
