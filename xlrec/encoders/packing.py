"""Batches of fixed shapes, so that a text's vector never depends on its neighbours.

A matrix product may round differently when its shape changes. So either batches of one padded length have the same
number of rows, the last one filled up with copies (`padded_batches`); or texts of any lengths share a row of a fixed
number of tokens, for models that keep them apart (`unpadded_batches`).
"""

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

#: Multiples of 8, each at most a third longer than the one before: few shapes, so that large batches get full.
COARSE = np.array(
    [8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048]
)
_FINE_STEPS = ((2, 32, 2), (32, 64, 4), (64, 256, 8), (256, 512, 16), (512, 2049, 32))
#: Each at most an eighth longer than the one before, beyond 32: little padding, for the small batches of a CPU.
FINE = np.concatenate([np.arange(a, b, step) for a, b, step in _FINE_STEPS])
#: (length, (n,) int64 rows of the texts of that length) of each length in a batch.
Batch = list[tuple[int, npt.NDArray[np.int64]]]
#: Tokens of a batch without padding on a CPU: with more its numbers leave the cache, fewer leave more of it empty.
CPU_ROW_TOKENS = 512
#: Tokens of a padded batch on a CPU: more make it hardly faster there, and waste more on filling up the last batch.
CPU_BATCH_TOKENS = 512


def padded_batches(
    lengths: npt.NDArray[np.int64], longest: int, batch_tokens: int, ladder: npt.NDArray[np.int64] = COARSE
) -> Iterator[tuple[int, int, npt.NDArray[np.int64]]]:
    """Batches (padded length, number of texts, rows): `rows` are the texts of a batch, filled up by its first one.

    The rows of a batch are (n_rows,) int64.

    Args:
        lengths: (n,) int64 tokens of each text.
        longest: Upper bound of the lengths.
        batch_tokens: Tokens of a batch, padding included; a batch has one text at least.
        ladder: (n_steps,) int64 lengths, ascending; a text is padded to the next one.
    """
    steps = np.append(ladder[longest > ladder], longest)
    padded = steps[np.searchsorted(steps, lengths)]
    for length in np.unique(padded).tolist():
        members = np.flatnonzero(padded == length)
        n_rows = max(1, batch_tokens // length)
        for start in range(0, len(members), n_rows):
            rows = members[start : start + n_rows]
            yield length, len(rows), np.append(rows, np.full(n_rows - len(rows), rows[0]))


def unpadded_batches(lengths: npt.NDArray[np.int64], n_tokens: int) -> Iterator[Batch]:
    """Batches of at most `n_tokens` tokens without padding: the longest texts first, then the longest that still fit.

    A text has from 1 to n_tokens tokens; lengths are (n,) int64.
    """
    order = np.argsort(lengths, kind="stable")
    sizes, starts = np.unique(lengths[order], return_index=True)
    left = dict(zip(sizes.tolist(), np.split(order, starts[1:]), strict=False))
    ascending = sizes.tolist()
    while ascending:
        batch, room = [], n_tokens
        place = bisect_right(ascending, room)
        while place:
            size = ascending[place - 1]
            rows, left[size] = np.split(left[size], [room // size])
            if not len(left[size]):
                del ascending[place - 1]
            batch.append((size, rows))
            room -= size * len(rows)
            place = bisect_right(ascending, min(room, size - 1))
        yield batch


def in_order(parts: list[npt.NDArray[np.float32]], rows: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
    """(n, dim) float32 vectors of (n_part, dim) float32 parts, in the order of their (n_part,) int64 rows of texts."""
    vectors = np.concatenate(parts)
    ordered = np.empty_like(vectors)
    ordered[np.concatenate(rows)] = vectors
    return ordered
