"""An approximate first pass for very many items: an inverted file proposes, the exact mask and float64 decide.

Items lie in lists around centroids, and a query looks at the few lists whose centroids score best (Jégou, Douze, Schmid
2011, without residuals). Coordinates are scaled before: v'_j = s_j v_j and q'_j = q_j / s_j leave ⟨q, v⟩ as it is, and
with s_j the root mean square of the queries' coordinate j, ‖v' - w'‖² is the mean of ⟨q, v - w⟩² over queries whose
coordinates are independent: items whose scores differ little for those who ask come to lie in one list. Without it,
coordinates that are large and that few ask for, such as other markets' popularity, would make the lists.

A query's result hangs on nothing but the query, its mask and the lists: centroids are ranked by the exact `top_k`, and
how many items are fetched is told by the user's own seen items. What is fetched is masked and ordered as by `top_k`;
users for whom fewer than k items are found are searched exactly. faiss is the extra `ann`: nothing imports it before.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.items import Items, Shards, prepare
from xlrec.kernels.mask import Mask, allowed_rows
from xlrec.kernels.topk import inner_products, top_k, units_of

#: Vectors per list that the centroids are learnt from.
SAMPLED: Final = 64
_SWEEPS: Final = 8  # of k-means
_ADDED: Final = 1 << 16  # vectors scaled at once
_FEWEST: Final = 39  # vectors per list below which faiss calls a list too small
_LEAST_SCALE: Final = 1e-3  # of the largest scale: what nearly nobody asks for is not scaled away
_MOST_SEEN: Final = 1024  # seen items that are fetched besides, at most
_KEPT: Final = 512  # selectors kept: a bit per item each


class Found(NamedTuple):
    """Lists of a search: ids and scores as of `top_k`, and which users' lists are whole."""

    ids: NDArray[np.int32]
    scores: NDArray[np.float64]
    whole: NDArray[np.bool_]


def n_lists_for(n_items: int) -> int:
    """4 √n lists, fewer where they would hold less than faiss learns a centroid from; at least 1."""
    return max(1, min(round(4 * math.sqrt(n_items)), n_items // _FEWEST))


def scales_of(queries: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(dim,) root mean square of each coordinate over the finite unit queries, bounded below; 1 where there are none.

    Args:
        queries: (n, dim) of those who ask, or a sample of them.
    """
    units, lengths = units_of(np.ascontiguousarray(queries, dtype=np.float64))
    asked = units[np.isfinite(lengths) & (lengths > 0)].astype(np.float64)
    spread = np.sqrt((asked**2).mean(axis=0)) if len(asked) else np.ones(units.shape[1])
    return np.maximum(spread, _LEAST_SCALE * max(float(spread.max(initial=0.0)), 1e-30))


def build(shards: Shards, norms: NDArray[np.float64], scales: NDArray[np.float64], *, n_lists: int, seed: int) -> Any:
    """A faiss IndexIVFScalarQuantizer of float16 over all items that can rank, by item_num; the same for the same seed.

    Args:
        shards: Item vectors, float32.
        norms: (n_items,) of the items; zero and not finite ones are left out, since they never rank.
        scales: (dim,) of `scales_of`.
        n_lists: At most the number of items that can rank.
        seed: Of the sample and of k-means.
    """
    import faiss

    seed %= 1 << 31
    dim, ranks = len(scales), np.isfinite(norms) & (norms > 0)
    largest = float(norms[ranks].max(initial=0.0)) or 1.0
    factors = (scales / (scales.max() * largest)).astype(np.float32)  # within what float16 holds
    wide = _padded(dim)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(wide), wide, n_lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.seed, index.cp.niter = seed, _SWEEPS
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, SAMPLED  # few: no warning on stderr
    nums = np.flatnonzero(ranks)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(nums, min(len(nums), SAMPLED * n_lists), replace=False))
    index.train(_scaled(shards, sample, factors))
    for low in range(0, len(nums), _ADDED):
        index.add_with_ids(_scaled(shards, nums[low : low + _ADDED], factors), nums[low : low + _ADDED])
    return index


def _scaled(shards: Shards, nums: NDArray[np.int64], factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, padded dim) float32 scaled vectors of some items, ascending."""
    dim = len(factors)
    found = np.zeros((len(nums), _padded(dim)), dtype=np.float32)
    for first, rows in shards:
        low, high = np.searchsorted(nums, [first, first + len(rows)])
        np.multiply(rows[nums[low:high] - first], factors, out=found[low:high, :dim])
    return found


def _padded(dim: int) -> int:
    """Numbers of a vector in the lists: faiss multiplies float16 in vector instructions by whole sixteens only."""
    return -(-dim // 16) * 16


class Approximate:
    """Searches an inverted file of `build`, always with the same items, markets and languages in the mask.

    Not for several threads at once.
    """

    def __init__(self, ivf: Any, scales: NDArray[np.float64], n_probes: NDArray[np.int64]) -> None:
        """Takes the centroids out.

        Args:
            ivf: What `build` made.
            scales: (dim,) that it was made with.
            n_probes: (n_groups,) lists that a user of each group of the mask looks at; 0: searched exactly.
        """
        self.ivf, self.scales = ivf, scales
        self.n_probes = np.minimum(n_probes, ivf.nlist)
        self._centroids = prepare([(0, ivf.quantizer.reconstruct_n(0, ivf.nlist))], path="float32")
        self._selectors: dict[bytes, Any] = {}

    def top_k(
        self,
        queries: NDArray[np.floating[Any]],
        items: Items,
        k: int,
        mask: Mask,
        *,
        zero_vectors: bool = False,
        user_block: int = 1024,
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """As `xlrec.kernels.topk.top_k`, but a better item may be missing; every list is as long as the exact one.

        Scores are exact, and equal ones in the order of item_num. Where zero vectors may rank, all is exact.
        """
        found = self.find(queries, items, k, mask)
        left = np.arange(len(found.whole)) if zero_vectors else np.flatnonzero(~found.whole)
        if len(left):
            found.ids[left], found.scores[left] = top_k(
                queries[left], items, k, mask.of(left), zero_vectors=zero_vectors, user_block=user_block
            )
        return found.ids, found.scores

    def find(self, queries: NDArray[np.floating[Any]], items: Items, k: int, mask: Mask) -> Found:
        """What the lists alone give: fewer than k items for some users; none for users who are searched exactly."""
        wide = np.ascontiguousarray(queries, dtype=np.float64)
        units, lengths = units_of(wide)
        asks = np.flatnonzero(np.isfinite(lengths) & (lengths > 0) & (self.n_probes[mask.group] > 0))
        ids = np.full((len(wide), k), -1, dtype=np.int32)
        scores = np.full((len(wide), k), -np.inf)
        if len(asks):
            scaled = np.zeros((len(asks), self.ivf.d), dtype=np.float32)
            scaled[:, : wide.shape[1]] = units[asks] / self.scales
            nums = np.sort(self._proposed(scaled, k, mask.of(asks)), axis=1)
            exact = np.full(nums.shape, -np.inf)
            rows, columns = np.nonzero(nums >= 0)
            kept = allowed_rows(mask, asks[rows], nums[rows, columns])
            rows, columns = rows[kept], columns[kept]
            exact[rows, columns] = inner_products(wide, asks[rows], nums[rows, columns], items.shards)
            best = np.argsort(-exact, axis=1, kind="stable")[:, :k]  # equal scores keep the order of nums
            scores[asks] = np.take_along_axis(exact, best, axis=1)
            ids[asks] = np.where(np.isfinite(scores[asks]), np.take_along_axis(nums, best, axis=1), -1)
        return Found(ids, scores, ids[:, -1] >= 0)

    def _proposed(self, queries: NDArray[np.float32], k: int, mask: Mask) -> NDArray[np.int64]:
        """(n_users, any width) item_nums, padded with -1: per user the k, and as many as are seen besides, best."""
        import faiss

        lists = self._lists(queries, int(self.n_probes[mask.group].max()))
        widths = k + _fetched_besides(np.diff(mask.seen_indptr))
        words = np.where(mask.restricted[:, None], mask.user_words, 0).view(np.int64)
        alike = np.column_stack([mask.group, mask.restricted, widths, words]).astype(np.int64)
        kinds, kind_of = np.unique(alike, axis=0, return_inverse=True)
        found = np.full((len(queries), widths.max()), -1, dtype=np.int64)
        for kind, (group, restricted, width, *_) in enumerate(kinds):
            users = np.flatnonzero(kind_of.ravel() == kind)
            n_probe = int(self.n_probes[group])
            here = np.ascontiguousarray(lists[users, :n_probe])
            labels = np.empty((len(users), width), dtype=np.int64)
            arrays = (np.ascontiguousarray(queries[users]), here, np.zeros(here.shape, np.float32))
            selector = self._selector(mask, int(users[0]), bool(restricted))
            asked = faiss.SearchParametersIVF(sel=selector, nprobe=n_probe)
            query, near, far = (faiss.swig_ptr(array) for array in arrays)
            best = np.empty(labels.shape, dtype=np.float32)
            self.ivf.search_preassigned_c(
                len(users), query, int(width), near, far, faiss.swig_ptr(best), faiss.swig_ptr(labels), False, asked
            )
            found[users, :width] = labels
        return found

    def _lists(self, queries: NDArray[np.float32], n: int) -> NDArray[np.int64]:
        """(n_users, n) the lists whose centroids score best, by the exact order, whatever the block."""
        n_users, n_lists = len(queries), self._centroids.n_items
        everything = Mask(
            np.ones((1, n_lists), np.bool_), np.zeros(n_users, np.int32), np.zeros(n_users + 1, np.int64),
            np.zeros(0, np.int32), np.ones((n_lists, 1), np.uint64), np.zeros((n_users, 1), np.uint64),
            np.zeros(n_users, np.bool_),
        )  # fmt: skip
        return top_k(queries, self._centroids, n, everything)[0].astype(np.int64)

    def _selector(self, mask: Mask, user: int, restricted: bool) -> Any:
        """What is eligible in the user's group, and in the user's languages where these restrict; kept for later."""
        import faiss

        group, words = mask.group[user], mask.user_words[user]
        key = group.tobytes() + (words.tobytes() if restricted else b"")
        if key not in self._selectors:
            allowed = mask.eligible[group]
            if restricted:
                allowed = allowed & ((mask.item_words & words) != 0).any(axis=1)
            if len(self._selectors) == _KEPT:
                self._selectors.clear()
            self._selectors[key] = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        return self._selectors[key]


def _fetched_besides(n_seen: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n_users,) items fetched for those that are seen: the next power of two, so that few widths differ."""
    seen = np.minimum(n_seen, _MOST_SEEN)
    return np.where(seen > 0, 2 ** np.ceil(np.log2(np.maximum(seen, 16))).astype(np.int64), 0)
