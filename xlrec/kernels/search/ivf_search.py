"""The approximate search for very many items: each query scans a few inverted lists, and these exactly.

A query scans the lists whose mean vectors score best. Unit centroids would not do: they know no norms. Users who scan
one list are multiplied with it together. A score of the product lies within e_v of the exact one, by the bound of
`xlrec.kernels.search.topk`. Items that may be among the user's k best are kept, rescored in float64 and ordered,
(score desc, item_num asc): each user gets the exact top k of the scanned lists, whatever the block. Seen items,
markets and languages are masked before. Users for whom fewer than k items are found are searched exactly.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.engine import ExactSearch, Queries, TopK
from xlrec.kernels.search.items import Items, prepare_items
from xlrec.kernels.search.ivf_lists import InvertedLists
from xlrec.kernels.search.ivf_scan import Probed, ivf_scan
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.paths import Float32, error_factors
from xlrec.kernels.search.scan import Buffers, tighten_buffers
from xlrec.kernels.search.topk import inner_products, top_k, unit_queries

_EARLY: Final = 8  # the part of a user's lists that is scanned first: thresholds rise early
_SCORES: Final = 1 << 18  # scores made before they are scanned, so that they stay in the cache


class IvfSearch:
    """Searches inverted lists; not for several threads at once."""

    def __init__(
        self, lists: InvertedLists, items: Items, scales: NDArray[np.float64], n_probes: NDArray[np.int64]
    ) -> None:
        """Keeps a number per item; a user of each group of the mask scans n_probes (n_groups,) lists, 0: all exactly.

        `scales` are the (dim,) float64 that the lists were learnt with.
        """
        self.lists, self.items, self.scales = lists, items, scales
        self.first_pass = str(items.path.name)
        self.n_probes = np.minimum(n_probes, len(lists.means))
        self._exact = ExactSearch(items)
        self._vectors = np.asarray(lists.vectors)
        self._means = prepare_items([(0, np.asarray(lists.means))])
        norm_factor, _, added = error_factors(len(scales), Float32.roundoff, 0.0)
        self._errors = (norm_factor * items.norms[lists.nums] + added).astype(np.float32)

    def top_k(self, queries: Queries, k: int, mask: Mask, *, zero_vectors: bool = True, user_block: int = 1024) -> TopK:
        """As `SearchEngine.top_k`, but a better item may be missing; every list is as long as the exact one.

        (n_users, k) int32 and (n_users, k) float64 of (n_users, dim) floating queries. All is exact where zero vectors
        may rank, since they are in no list.
        """
        if zero_vectors:
            return self._exact.top_k(queries, k, mask, user_block=user_block)
        ids, scores = self.search_lists(queries, k, mask)
        rest = np.flatnonzero(ids[:, -1] < 0)
        if len(rest):
            ids[rest], scores[rest] = self._exact.top_k(
                queries[rest], k, mask.of_users(rest), zero_vectors=False, user_block=user_block
            )
        return ids, scores

    def search_lists(self, queries: Queries, k: int, mask: Mask) -> TopK:
        """The top k of the scanned lists alone: fewer than k for some users, none for those of groups without probes.

        `queries` are (n_users, dim) floating, any scale.

        Returns:
            (n_users, k) int32 padded with -1, and (n_users, k) float64 padded with -inf.
        """
        wide = np.ascontiguousarray(queries, dtype=np.float64)
        units, lengths = unit_queries(wide)
        users = np.flatnonzero(np.isfinite(lengths) & (lengths > 0) & (self.n_probes[mask.group] > 0))
        ids, scores = np.full((len(wide), k), -1, dtype=np.int32), np.full((len(wide), k), -np.inf)
        if len(users):
            nums = np.sort(self._proposed(units[users], k, mask.of_users(users)), axis=1)
            exact = np.full(nums.shape, -np.inf)
            rows, columns = np.nonzero(nums >= 0)
            exact[rows, columns] = inner_products(wide, users[rows], nums[rows, columns], self.items.shards)
            best = np.argsort(-exact, axis=1, kind="stable")[:, :k]  # equal scores keep the order of nums
            width = best.shape[1]
            scores[users, :width] = np.take_along_axis(exact, best, axis=1)
            ranks = np.isfinite(scores[users, :width])
            ids[users, :width] = np.where(ranks, np.take_along_axis(nums, best, axis=1), -1)
        return ids, scores

    def _proposed(self, units: NDArray[np.float32], k: int, mask: Mask) -> NDArray[np.int32]:
        """(n_users, any width) item_nums, padded with -1: the k best of each user's lists, and near-ties."""
        n_users, n_probes = len(units), self.n_probes[mask.group]
        nearest = self._nearest_lists(units, int(n_probes.max()))
        buffers = Buffers.empty(np.full(n_users, -np.inf, dtype=np.float32), k, Float32.buffer_capacity(k))
        columns, early = np.arange(nearest.shape[1]), -(-n_probes // _EARLY)
        for low, high in ((np.zeros_like(early), early), (early, n_probes)):
            chosen = (columns >= low[:, None]) & (columns < high[:, None])
            buffers = self._scanned(units, _probed(nearest, chosen), k, mask, buffers)
            tighten_buffers(np.arange(n_users), k, buffers)
        width = max(1, int(buffers.counts.max()))
        return np.where(np.arange(width) < buffers.counts[:, None], buffers.nums[:, :width], -1)

    def _nearest_lists(self, units: NDArray[np.float32], n: int) -> NDArray[np.int32]:
        """(n_users, n) lists whose means score best, in their exact order, so that blocks of users change nothing."""
        everything = Mask.everything(len(units), self._means.n_items)
        return top_k(units / self.scales, self._means, n, everything)[0]

    def _scanned(self, units: NDArray[np.float32], probed: Probed, k: int, mask: Mask, buffers: Buffers) -> Buffers:
        """The buffers with the items of these lists that may be among the k best."""
        lists, sizes, low = self.lists, np.diff(self.lists.indptr), 0
        ones = np.ones(int(sizes.max()), dtype=np.float32)
        ends = np.cumsum(np.diff(probed.starts) * sizes[probed.lists])
        while low < len(ends):
            done = ends[low - 1] if low else 0
            high = max(low + 1, int(np.searchsorted(ends, done + _SCORES, side="right")))
            scores = np.empty(int(ends[high - 1] - done), dtype=np.float32)
            for place in range(low, high):
                users = probed.users[probed.starts[place] : probed.starts[place + 1]]
                vectors = self._vectors[lists.indptr[probed.lists[place]] : lists.indptr[probed.lists[place] + 1]]
                end = int(ends[place] - done)
                out = scores[end - len(users) * len(vectors) : end].reshape(len(users), len(vectors))
                np.matmul(units[users], vectors.T, out=out)
            at = np.array([low, 0, 0, 0])
            while not ivf_scan(
                scores, probed, high, lists.indptr, lists.nums, self._errors, ones, mask, k, at, buffers
            ):
                buffers = _doubled(buffers)  # full of near-ties
            low = high
        return buffers


def _probed(nearest: NDArray[np.int32], chosen: NDArray[np.bool_]) -> Probed:
    """The chosen of each user's lists, by list."""
    users, columns = np.nonzero(chosen)
    lists = nearest[users, columns]
    order = np.argsort(lists, kind="stable")
    distinct, starts = np.unique(lists[order], return_index=True)
    return Probed(distinct.astype(np.int64), np.append(starts, len(order)).astype(np.int64), users[order])


def _doubled(buffers: Buffers) -> Buffers:
    """The same entries, with as much room again."""
    columns = {name: getattr(buffers, name) for name in ("nums", "lower", "upper", "exact")}
    wider = {name: np.concatenate([array, np.empty_like(array)], axis=1) for name, array in columns.items()}
    return buffers._replace(**wider)
