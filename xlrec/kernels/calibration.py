"""Languages of a list against the languages of its reader.

Source: Steck 2018, "Calibrated recommendations": C_KL(p, q) = Σ_g p(g) · log(p(g) / q̃(g)), equations 6 and 7.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Share of p that is mixed into q, so that a language which the list lacks costs much, but not infinitely much.
ALPHA: Final = 0.01


def divergence(target: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """KL(p ‖ q̃) of a list: 0 where its languages follow the reader's, at most log(1 / ALPHA).

    Args:
        target: (n_groups,) float64, p: the reader's share of each language; sums to 1, or to 0 where nobody knows.
        counts: (n_groups,) items of the list in each language.

    Returns:
        0 where nobody knows the reader's languages; an empty list has q = 0.
    """
    total = max(int(counts.sum()), 1)
    found = 0.0
    for share, count in zip(target.tolist(), counts.tolist(), strict=True):
        if share > 0:
            found += share * float(np.log(share / ((1 - ALPHA) * count / total + ALPHA * share)))
    return found


def shown_languages(
    bits: NDArray[np.uint64], item_nums: NDArray[np.int32], reads: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """In which language each item would be shown to a reader.

    It is the reader's heaviest language that the item has, else the item's first language.

    Args:
        bits: (n_items, n_words) uint64 of all items: bit l % 64 of word l // 64 says that it has language l.
        item_nums: (n,) int rows of `bits`.
        reads: (m,) int64 numbers of the reader's languages, heaviest first; -1 for one that no item has.

    Returns:
        (n,) int64 place in `reads` of the language shown, m where the reader reads none of the item's; and (n,) int64
        number of the language shown, -1 where the item has no text at all.
    """
    groups, shown = _shown_languages(bits, item_nums, reads)
    return groups, shown


@njit(cache=True)
def _shown_languages(bits: Any, item_nums: Any, reads: Any) -> Any:
    n, m, n_words = len(item_nums), len(reads), bits.shape[1]
    groups, shown = np.full(n, m, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    one = np.uint64(1)
    for i in range(n):
        row = bits[item_nums[i]]
        for place in range(m):
            num = reads[place]
            if num >= 0 and row[num // 64] & (one << np.uint64(num % 64)):
                groups[i], shown[i] = place, num
                break
        if shown[i] >= 0:
            continue
        for num in range(64 * n_words):
            if row[num // 64] & (one << np.uint64(num % 64)):
                shown[i] = num
                break
    return groups, shown
