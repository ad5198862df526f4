"""Similarity of texts of any languages, in this process: the matrix of a few, the most similar of many.

from xlrec.similarity.api import most_similar
rows, scores = most_similar(["robe rouge"], ["drill bit set", "red dress"], k=1)

The `xlrec similarity` command does the same for tables of any size on Spark.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.encoders import Encoder
from xlrec.errors import ConfigError
from xlrec.kernels.base.names import UNKNOWN_LANGUAGE
from xlrec.kernels.search.items import ITEM_BLOCK, prepare_items
from xlrec.kernels.search.pairs import pair_mask
from xlrec.kernels.search.topk import Mask, top_k
from xlrec.runtime.first_pass import first_pass_for
from xlrec.similarity.languages import (
    COMMON_LANGUAGES,
    MAX_CHARS,
    Texts,
    cleaned_texts,
    detected_languages,
    language_tags,
    language_words,
)

__all__ = ["COMMON_LANGUAGES", "MAX_CHARS", "detected_languages", "most_similar", "similarity_matrix"]

EncoderLike = Encoder | EmbedConfig | str | None


def similarity_matrix(left: Texts, right: Texts | None = None, *, encoder: EncoderLike = None) -> NDArray[np.float64]:
    """(n_left, n_right) float64 cosines in [-1, 1]; NaN where a text is empty after cleaning.

    Where `right` is None, it is `left` with itself.

    Raises:
        EncoderError: the encoder cannot be had.
    """
    model = _encoder(encoder)
    rows = _vectors(left, model)
    columns = rows if right is None else _vectors(right, model)
    return np.clip(rows.astype(np.float64) @ columns.astype(np.float64).T, -1.0, 1.0)


def most_similar(
    left: Texts,
    right: Texts | None = None,
    k: int = 10,
    *,
    encoder: EncoderLike = None,
    min_score: float = -1.0,
    other_language_only: bool = False,
    left_languages: Sequence[str | None] | None = None,
    right_languages: Sequence[str | None] | None = None,
    left_block: int = 1024,
    right_block: int = ITEM_BLOCK,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Rows of right and cosines of each left text's k most similar, (score desc, row asc), by an exact search.

    Equal texts have equal scores. An empty text is similar to none. Blocks bound memory and never change the result.

    Args:
        left: n_left texts.
        right: n_right texts; None: left with itself, without each row's own.
        k: At least 1.
        encoder: An encoder, its config or its name; None: the config's default.
        min_score: Pairs below it are left out.
        other_language_only: Only pairs whose two languages are known and differ.
        left_languages: BCP 47 of each left text, detected where None; used with other_language_only.
        right_languages: Likewise of right.
        left_block: Left texts per matrix product.
        right_block: Right texts per matrix product.

    Returns:
        (n_left, k) int32 padded with -1, and (n_left, k) float64 padded with -inf.

    Raises:
        ConfigError: k is below 1, or there are more or fewer languages than texts.
        EncoderError: the encoder cannot be had.
    """
    if k < 1:
        raise ConfigError(f"k is {k}, allowed is at least 1")
    model = _encoder(encoder)
    queries = _vectors(left, model)
    others = queries if right is None else _vectors(right, model)
    mask = _mask(left, right, (left_languages, right_languages) if other_language_only else None)
    path = first_pass_for([(0, others)], n_queries=len(queries))
    items = prepare_items([(0, others)], path=path, item_block=right_block)
    rows, scores = top_k(queries, items, k, mask, user_block=left_block)
    scores = np.where(np.isfinite(scores), np.clip(scores, -1.0, 1.0), scores)
    low = scores < min_score
    return np.where(low, np.int32(-1), rows), np.where(low, -np.inf, scores)


def _encoder(encoder: EncoderLike) -> Encoder:
    if encoder is None:
        return encoders.load(EmbedConfig())
    return encoders.load(encoder) if isinstance(encoder, (EmbedConfig, str)) else encoder


def _mask(left: Texts, right: Texts | None, tags: tuple[Sequence[str | None] | None, ...] | None) -> Mask:
    """No row itself where right is None; with languages (of left, of right), only pairs whose two differ."""
    itself = np.arange(len(left)) if right is None else None
    if tags is None:
        return pair_mask(len(left), np.zeros((len(left if right is None else right), 1), dtype=np.uint64), None, itself)
    own = language_tags(left, tags[0])
    theirs = own if right is None else language_tags(right, tags[1])
    names = sorted({*own, *theirs} - {UNKNOWN_LANGUAGE})
    return pair_mask(len(left), language_words(theirs, names)[0], language_words(own, names), itself)


def _vectors(texts: Texts, encoder: Encoder) -> NDArray[np.float32]:
    """(n, dim) float32, each different text encoded once; NaN, never a match, where it is empty."""
    cleaned = cleaned_texts(texts)
    places = {text: place for place, text in enumerate(dict.fromkeys(filter(None, cleaned)))}
    known = np.concatenate([encoder.encode(list(places)), np.full((1, encoder.dim), np.nan, dtype=np.float32)])
    return np.ascontiguousarray(known[[places.get(text, -1) for text in cleaned]], dtype=np.float32)
