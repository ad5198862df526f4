"""Which items are copies of better ones: near-duplicates, and one product under several item_ids."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.numba_options import uncounted, uncounted_rough

_EPSILON: Final = float(np.finfo(np.float32).eps)
HEAD: Final = 128  # best items whose products come at once; of later pairs few are asked for


class Copies(NamedTuple):
    """What is known of which of n items, best first, are copies of better ones; the rest is decided when asked."""

    head: NDArray[np.float32]
    """`products` of the items' vectors."""
    kept: NDArray[np.int8]
    """(n,) 1: stays, 0: falls out, -1: not decided; written to."""
    threshold: float
    """Smallest cosine of near-duplicates."""
    least: NDArray[np.float32]
    """(n,) the product of a near pair is at least that of both of these, its rounding included; NaN: any."""

    @staticmethod
    def none(head: NDArray[np.float32], n: int) -> "Copies":
        """All n items stay."""
        return Copies(head, np.ones(n, dtype=np.int8), 1.0, np.zeros(n, dtype=np.float32))


def products(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m, m) float32 inner products of the first m = min(n, 128), within `roundoff` times both norms."""
    head = vectors[:HEAD]
    return head @ head.T


def roundoff(dim: int) -> float:
    """What a float32 sum over dim is off by at most, with room, as a part of both norms."""
    return 4 * (dim + 4) * _EPSILON


def collapse(vectors: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """(n,) which items stay when near-duplicates fall out, walking from the best item on.

    An item falls out when its cosine with one that stays, and is better, reaches the threshold; a chain of items that
    are each near the next only is so not all one. A zero vector is near nothing. float32 products find the pairs that
    may be near; each is then decided in float64 with a fixed order of the sum, so that the answer does not depend on
    the BLAS.

    Args:
        vectors: (n, dim) float32, best item first, of any norm.
        threshold: Smallest cosine of near-duplicates, > 0; 1 = the same direction exactly.
    """
    found: NDArray[np.bool_] = copies_of(vectors, threshold, len(vectors)).kept == 1
    return found


def copies_of(vectors: NDArray[np.float32], threshold: float, enough: int) -> Copies:
    """`collapse` from the best item on, until `enough` items are known to stay.

    Args:
        vectors: As of `collapse`.
        threshold: As of `collapse`.
        enough: At least 0.
    """
    head, margin = products(vectors), roundoff(vectors.shape[1])
    least = np.empty(len(vectors), dtype=np.float32)
    least_products(vectors, head, threshold, margin, least)
    found = Copies(head, np.full(len(vectors), -1, dtype=np.int8), threshold, least)
    walk(vectors, *found, enough)
    return found


@uncounted_rough
def _rough_dot(vectors: Any, i: Any, j: Any) -> Any:
    total = np.float32(0.0)
    for d in range(vectors.shape[1]):
        total += vectors[i, d] * vectors[j, d]
    return total


@uncounted
def product(vectors: Any, head: Any, i: Any, j: Any) -> Any:
    """float32 inner product of two items, within `roundoff` times both norms."""
    return head[i, j] if i < len(head) and j < len(head) else _rough_dot(vectors, i, j)


@uncounted
def exact_product(vectors: Any, i: Any, j: Any) -> Any:
    """float64 inner product of two items, summed in order."""
    total = 0.0
    for d in range(vectors.shape[1]):
        total += np.float64(vectors[i, d]) * np.float64(vectors[j, d])
    return total


@uncounted
def least_products(vectors: Any, head: Any, threshold: Any, margin: Any, found: Any) -> None:
    """Writes `Copies.least`."""
    for i in range(len(found)):
        square = np.float64(max(product(vectors, head, i, i), np.float32(0.0)))
        found[i] = np.sqrt(square * (1 - margin) * (threshold - margin)) if threshold > margin else np.nan


@uncounted
def walk(vectors: Any, head: Any, kept: Any, threshold: Any, least: Any, enough: Any) -> Any:
    """Decides items from the best on until `enough` are known to stay; how many are."""
    n_kept = 0
    for i in range(len(vectors)):
        if n_kept >= enough:
            break
        n_kept += stays(i, vectors, head, kept, threshold, least)
    return n_kept


@uncounted
def stays(i: Any, vectors: Any, head: Any, kept: Any, threshold: Any, least: Any) -> Any:
    """Whether an item is none of the copies; decides it, and the better items that this hangs on, in `kept`."""
    one = i
    while kept[i] < 0:
        kept[one], asked = _verdict(one, vectors, head, kept, threshold, least)
        one = asked if kept[one] < 0 else i
    return kept[i] == 1


@uncounted
def _n_near(i: Any, vectors: Any, head: Any, least: Any) -> Any:
    """Better items that may be near."""
    found, bar = np.int32(0), least[i]
    if i < len(head):
        for j in range(i):  # branchless, so that it becomes vector instructions; nearly always there is none
            found += np.int32(0) if head[i, j] < bar * least[j] else np.int32(1)
    else:
        for j in range(i):
            found += np.int32(0) if _rough_dot(vectors, i, j) < bar * least[j] else np.int32(1)
    return found


@uncounted
def _verdict(i: Any, vectors: Any, head: Any, kept: Any, threshold: Any, least: Any) -> Any:
    """0 where the item is near one that stays, 1 where it is near none; -1, and one to decide first, where unknown."""
    asked, square = -1, -1.0
    for j in range(i if _n_near(i, vectors, head, least) > 0 else 0):
        if product(vectors, head, i, j) < least[i] * least[j] or kept[j] == 0:
            continue
        if square < 0:
            square = exact_product(vectors, i, i)
        dot = exact_product(vectors, i, j)
        # Squares, not roots: a copy then has a cosine of exactly 1.
        if dot > 0 and dot * dot >= threshold * threshold * square * exact_product(vectors, j, j):
            if kept[j] == 1:
                return np.int8(0), asked
            asked = j if asked < 0 else asked
    return np.int8(1 if asked < 0 else -1), asked
