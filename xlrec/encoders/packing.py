"""How texts are cut into batches of fixed shapes, so that a text's vector never depends on its neighbours.

A matrix product may round differently when its shape changes. So every text is padded to the next length of a fixed
ladder, and every batch of one length has the same number of rows, the last one filled up with copies.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

#: Multiples of 8, each at most a third longer than the one before: few shapes, so that large batches get full.
COARSE = np.array(
    [8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048]
)
#: Each at most an eighth longer than the one before, beyond 32: little padding, for the small batches of a CPU.
FINE = np.concatenate(
    [
        np.arange(2, 32, 2),
        np.arange(32, 64, 4),
        np.arange(64, 256, 8),
        np.arange(256, 512, 16),
        np.arange(512, 2049, 32),
    ]
)
#: Tokens of a batch on a CPU: more make it hardly faster there, and waste more on filling up the last batch.
CPU_BATCH_TOKENS = 512


def padded_lengths(
    lengths: npt.NDArray[np.int64], longest: int, ladder: npt.NDArray[np.int64] = COARSE
) -> npt.NDArray[np.int64]:
    """(n,) length to which each text is padded: the next one of the ladder, at most `longest`."""
    steps = np.append(ladder[longest > ladder], longest)
    return np.asarray(steps[np.searchsorted(steps, lengths)])


def pack(
    lengths: npt.NDArray[np.int64], longest: int, batch_tokens: int, ladder: npt.NDArray[np.int64] = COARSE
) -> Iterator[tuple[int, int, npt.NDArray[np.int64]]]:
    """Batches (padded length, number of texts, rows): `rows` are the texts of a batch, filled up by its first one.

    Args:
        lengths: (n,) tokens of each text, at most `longest`.
        longest: tokens at which texts are cut.
        batch_tokens: tokens in a batch, padding included; one text at least.
        ladder: ascending lengths to which texts are padded.
    """
    padded = padded_lengths(lengths, longest, ladder)
    for length in np.unique(padded).tolist():
        members = np.flatnonzero(padded == length)
        n_rows = max(1, batch_tokens // length)
        for start in range(0, len(members), n_rows):
            rows = members[start : start + n_rows]
            yield length, len(rows), np.append(rows, np.full(n_rows - len(rows), rows[0]))
