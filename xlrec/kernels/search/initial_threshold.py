"""Initial thresholds of the exact search, estimated from a sample of the items.

A search that starts without a threshold buffers and drops far more entries than it returns, since its threshold rises
only as it goes. Of n items, m are drawn evenly. About λ = k m / n of the best k are among them, as a Poisson variable,
so that the score at place λ + 4 √λ + 4 of the sample is hardly ever above the k-th best of all. An estimate need not be
true: a list whose k-th score reaches it is the list without it, and any other user is searched again.
"""

from math import ceil, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.items import Items
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.paths import Block
from xlrec.kernels.search.scan import Buffers, scan_tile, tighten_buffers

#: Items drawn.
SAMPLE: Final = 4096
_LEAST: Final = 8  # samples that the items must make; fewer items are scanned before an estimate has paid


def place_of(k: int, n_drawn: int, n_items: int) -> int:
    """The place in a sample, from 1, whose score the k-th best of all items hardly ever falls below."""
    expected = k * n_drawn / n_items
    return ceil(expected + 4 * sqrt(expected) + 4)


def initial_thresholds(
    queries: Block, items: Items, k: int, mask: Mask, zero: NDArray[np.bool_], smallest: float
) -> NDArray[np.float32]:
    """(n_users,) float32 thresholds for scores of unit queries; -inf where nothing is estimated.

    Nothing is for users in `zero` (n_users,) bool, whose scores are all equal, nor for fewer items than eight samples.
    `queries` are unit queries as the items' path rounds them; items of a norm below `smallest` never rank.
    """
    n_users, nowhere = len(zero), np.float32(-np.inf)
    thresholds = np.full(n_users, nowhere, dtype=np.float32)
    if items.n_items < _LEAST * SAMPLE:
        return thresholds
    nums, block = items.sample(SAMPLE)
    place, some = place_of(k, len(nums), items.n_items), mask.among_items(nums)
    norms = items.norms[nums]
    ranks = some.eligible & (norms >= smallest) & (norms < np.inf)
    errors = np.where(ranks, np.float32(0), np.float32(np.nan))
    buffers = Buffers.empty(thresholds, place, 4 * place + 128)
    product = items.path.raw_scores(queries, block, items.path.new_scratch(n_users * len(nums)))
    places, none = np.zeros(n_users, dtype=np.int64), np.float32(0)
    scan_tile(product, 0, queries.scales, none, block.scales, errors, some.group, zero, place, some, places, buffers)
    tighten_buffers(np.arange(n_users), place, buffers)
    return np.where(zero, nowhere, buffers.thresholds)
