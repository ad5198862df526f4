"""Masks for a search of rows of texts in rows of texts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.topk import Mask


def pair_mask(
    n_left: int,
    right_words: NDArray[np.uint64],
    others_than: tuple[NDArray[np.uint64], NDArray[np.bool_]] | None = None,
    own_nums: NDArray[np.integer[Any]] | None = None,
    eligible: NDArray[np.bool_] | None = None,
) -> Mask:
    """Mask of left rows in right rows: all pairs, unless the other arguments leave some out.

    Args:
        n_left: number of left rows.
        right_words: (n_right, n_words) uint64 bit of each right row's language; none where it is unknown.
        others_than: (n_left, n_words) uint64 bits of the left rows' languages and (n_left,) bool whether they are
            known. Then only right rows of another language count, and unknown languages make no pair.
        own_nums: (n_left,) integer right row of each left row, which it never gets.
        eligible: (n_right,) bool right rows that count; None: all.
    """
    n_right, n_words = right_words.shape
    everyone = np.ones(n_right, dtype=np.bool_) if eligible is None else eligible
    wanted = np.zeros((n_left, n_words), dtype=np.uint64)
    if others_than is not None:
        words, known = others_than
        wanted[known] = ~words[known]
    return Mask(
        eligible=np.ascontiguousarray(everyone)[None, :],
        group=np.zeros(n_left, dtype=np.int32),
        seen_indptr=np.arange(n_left + 1, dtype=np.int64) * (own_nums is not None),
        seen_nums=np.zeros(0, dtype=np.int32) if own_nums is None else own_nums.astype(np.int32),
        item_words=right_words,
        user_words=wanted,
        restricted=np.full(n_left, others_than is not None, dtype=np.bool_),
    )
