"""The languages that a reader wants, and the language in which an item is shown.

Source: Steck 2018, "Calibrated recommendations": C_KL(p, q) = Σ_g p(g) · log(p(g) / q̃(g)), equations 6 and 7.
"""

from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.csr import owners_of
from xlrec.kernels.base.numba_options import njit_without_refcounts

#: Share of p that is mixed into q, so that a language which the list lacks costs much, but not infinitely much.
ALPHA: Final = 0.01


class Mix(NamedTuple):
    """Languages that a reader wants."""

    target: NDArray[np.float64]
    """(n_groups,) float64, p: wanted share of each language, the last for any other; sums to 1, or 0 where unknown."""
    weight: float  # 0..1: weight of the mix against score and diversity; 0 = no regard to languages


def language_mixes(shares: NDArray[np.float64], indptr: NDArray[np.int64], weight: float) -> list[Mix]:
    """The mix of each reader; its weight is 0 where the reader's languages are unknown.

    Args:
        shares: (n,) float64 weights of the readers' languages, of any sum, summed in their order.
        indptr: (n_readers + 1,) int64 bounds of each reader's languages.
        weight: that of a mix against score and diversity, 0..1.
    """
    totals = np.bincount(owners_of(indptr), weights=shares, minlength=len(indptr) - 1)
    known = (totals > 0) & (totals < np.inf)
    mixes = []
    for reader, (first, last) in enumerate(pairwise(indptr.tolist())):
        target = np.zeros(last - first + 1)
        if known[reader]:
            target[:-1] = shares[first:last] / totals[reader]
        mixes.append(Mix(target, float(weight) if known[reader] else 0.0))
    return mixes


def shown_languages(
    bits: NDArray[np.uint64],
    item_nums: NDArray[np.int32],
    indptr: NDArray[np.int64],
    reads: NDArray[np.int64],
    reads_indptr: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The language in which each item would be shown to its reader.

    It is the reader's heaviest language that the item has, else the item's first language.

    Args:
        bits: (n_items, n_words) uint64 of all items: bit l % 64 of word l // 64 says that it has language l.
        item_nums: (n,) int32 items, reader after reader.
        indptr: (n_readers + 1,) int64 bounds of each reader's items.
        reads: (m,) int64 numbers of the readers' languages, heaviest first; -1 for one that no item has.
        reads_indptr: (n_readers + 1,) int64 bounds of each reader's languages.

    Returns:
        (n,) int64 place, among the reader's languages, of the language shown, and their number where she reads none of
            the item's; and (n,) int64 number of the language shown, -1 where the item has no text at all.
    """
    groups, shown = np.empty(len(item_nums), dtype=np.int64), np.empty(len(item_nums), dtype=np.int64)
    _shown_languages(bits, item_nums, indptr, reads, reads_indptr, groups, shown)
    return groups, shown


@njit_without_refcounts
def _shown_languages(
    bits: Any, item_nums: Any, indptr: Any, reads: Any, reads_indptr: Any, groups: Any, shown: Any
) -> None:
    for reader in range(len(indptr) - 1):
        first, last = reads_indptr[reader], reads_indptr[reader + 1]
        for i in range(indptr[reader], indptr[reader + 1]):
            groups[i], shown[i] = last - first, -1
            for place in range(first, last):
                if reads[place] >= 0 and _has(bits, item_nums[i], reads[place]):
                    groups[i], shown[i] = place - first, reads[place]
                    break
            if shown[i] < 0:
                shown[i] = _first(bits, item_nums[i])


@njit_without_refcounts
def _has(bits: Any, item: Any, language: Any) -> Any:
    return bits[item, language // 64] & (np.uint64(1) << np.uint64(language % 64)) != 0


@njit_without_refcounts
def _first(bits: Any, item: Any) -> Any:
    for language in range(64 * bits.shape[1]):
        if _has(bits, item, language):
            return language
    return -1
