"""An approximate search for very many items: a query looks at a few lists of items, and at these exactly.

Items lie in lists around centroids (an inverted file: Jégou, Douze, Schmid 2011), which faiss learns by spherical
k-means; faiss is the extra `ann`, and only `build` imports it. Coordinates are scaled before: v'_j = s_j v_j and
q'_j = q_j / s_j leave ⟨q, v⟩ as it is, and with s_j the root mean square of the queries' coordinate j, ‖v' - w'‖² is
the mean of ⟨q, v - w⟩² over queries whose coordinates are independent: items whose scores differ little for those who
ask come to lie in one list. Without it, coordinates that are large and that few ask for, such as other markets'
popularity, would make the lists. A query looks at the lists whose mean vectors score best, not their unit centroids,
which know no norms.

Users who look at one list are multiplied with it together. A score of the product lies within e_v of the exact one, by
the bound of `xlrec.kernels.search.topk`; what may be among the user's k best is kept, rescored in float64 and ordered,
(score desc, item_num asc). So a user gets the exact top k of what the user looked at, whatever the block. Seen items,
markets and languages are masked before. Users for whom fewer than k items are found are searched exactly.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.items import Items, Shards, prepare
from xlrec.kernels.search.ivf_scan import Visits, sift
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.paths import Float32, error_factors
from xlrec.kernels.search.scan import Buffers, tighten
from xlrec.kernels.search.topk import inner_products, top_k, units_of

_SAMPLED: Final = 64  # vectors per list that the centroids are learnt from
_SWEEPS: Final = 8  # of k-means
_FEWEST: Final = 39  # vectors per list below which a list is too small to learn
_SOON: Final = 8  # the part of a user's lists that is looked at first
_SCORES: Final = 1 << 18  # made before they are sifted, so that they stay in the cache
_AT_ONCE: Final = 1 << 16  # vectors scaled at once
_LEAST_SCALE: Final = 1e-3  # of the largest scale: what nearly nobody asks for is not scaled away


class Lists(NamedTuple):
    """Items in lists; positions run list after list, ascending by item_num within one."""

    means: NDArray[np.float32]  # (n_lists, dim) of the lists' scaled vectors
    indptr: NDArray[np.int64]  # (n_lists + 1,) positions where lists begin
    nums: NDArray[np.int32]  # (n,) item_num at each position
    vectors: NDArray[np.float32]  # (n, dim) of the items, as they are


class Found(NamedTuple):
    """Lists of a search: ids and scores as of `top_k`, and which users' lists are whole."""

    ids: NDArray[np.int32]
    scores: NDArray[np.float64]
    whole: NDArray[np.bool_]


def n_lists_for(n_items: int) -> int:
    """4 √n lists, fewer where they would hold less than a centroid is learnt from; at least 1."""
    return max(1, min(round(4 * math.sqrt(n_items)), n_items // _FEWEST))


def scales_of(queries: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(dim,) root mean square of each coordinate over the finite unit queries, bounded below; 1 where there are none.

    Args:
        queries: (n, dim) of those who ask, or a sample of them.
    """
    units, lengths = units_of(np.ascontiguousarray(queries, dtype=np.float64))
    asked = units[np.isfinite(lengths) & (lengths > 0)].astype(np.float64)
    spread = np.sqrt((asked**2).mean(axis=0)) if len(asked) else np.ones(units.shape[1])
    return np.maximum(spread, _LEAST_SCALE * float(spread.max(initial=0.0)))


def build(
    shards: Shards, norms: NDArray[np.float64], scales: NDArray[np.float64], *, n_lists: int, seed: int
) -> NDArray[np.int32]:
    """(n_items,) the list of each item, -1 where it can never rank; the same for the same seed and threads of faiss.

    Args:
        shards: Item vectors, float32.
        norms: (n_items,) of the items; zero and not finite ones never rank.
        scales: (dim,) of `scales_of`.
        n_lists: At most the number of items that can rank; some lists may stay empty.
        seed: Of the sample and of k-means.
    """
    import faiss

    seed %= 1 << 31
    nums = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    factors = (scales / (scales.max() * norms[nums].max(initial=0.0))).astype(np.float32)
    drawn = np.random.default_rng(seed).choice(nums, min(len(nums), _SAMPLED * n_lists), replace=False)
    learner = faiss.Kmeans(
        len(scales), n_lists, niter=_SWEEPS, seed=seed, spherical=True,
        min_points_per_centroid=1, max_points_per_centroid=_SAMPLED,
    )  # fmt: skip
    learner.train(_scaled(shards, np.sort(drawn), factors))
    owners = np.full(len(norms), -1, dtype=np.int32)
    for low in range(0, len(nums), _AT_ONCE):
        part = nums[low : low + _AT_ONCE]
        owners[part] = learner.index.search(_scaled(shards, part, factors), 1)[1][:, 0]
    return owners


def laid_out(
    shards: Shards, owners: NDArray[np.int32], scales: NDArray[np.float64], vectors: NDArray[np.float32] | None = None
) -> Lists:
    """The lists of `build`, without empty ones.

    Args:
        shards: Item vectors, float32.
        owners: (n_items,) the list of each, -1: none.
        scales: (dim,) that they were made with.
        vectors: (n, dim) filled and used, such as a file; n is the number of items with a list. None: new memory.
    """
    nums = np.flatnonzero(owners >= 0)
    _, own, sizes = np.unique(owners[nums], return_inverse=True, return_counts=True)
    order = np.argsort(own, kind="stable")
    places = np.empty(len(nums), dtype=np.int64)
    places[order] = np.arange(len(nums))
    vectors = np.empty((len(nums), len(scales)), dtype=np.float32) if vectors is None else vectors
    sums = np.zeros((len(sizes), len(scales)))
    for first, rows in shards:
        here = slice(*np.searchsorted(nums, [first, first + len(rows)]))
        held = np.asarray(rows)[nums[here] - first]
        vectors[places[here]] = held
        np.add.at(sums, own[here], held.astype(np.float64))
    means = (sums / sizes[:, None] * scales).astype(np.float32)
    return Lists(means, np.concatenate([[0], np.cumsum(sizes)]), nums[order].astype(np.int32), vectors)


def _scaled(shards: Shards, nums: NDArray[np.int64], factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, dim) float32 scaled vectors of some items, ascending."""
    found = np.empty((len(nums), len(factors)), dtype=np.float32)
    for first, rows in shards:
        low, high = np.searchsorted(nums, [first, first + len(rows)])
        np.multiply(rows[nums[low:high] - first], factors, out=found[low:high])
    return found


class Approximate:
    """Searches lists; not for several threads at once."""

    def __init__(
        self, lists: Lists, norms: NDArray[np.float64], scales: NDArray[np.float64], n_probes: NDArray[np.int64]
    ) -> None:
        """Keeps a number per item.

        Args:
            lists: Of `laid_out`.
            norms: (n_items,) of the items.
            scales: (dim,) that the lists were made with.
            n_probes: (n_groups,) lists that a user of each group of the mask looks at; 0: searched exactly.
        """
        self.lists, self.scales = lists, scales
        self.n_probes = np.minimum(n_probes, len(lists.means))
        self._vectors = np.asarray(lists.vectors)
        self._means = prepare([(0, np.asarray(lists.means))], path="float32")
        of_norm, _, added = error_factors(len(scales), Float32.roundoff, 0.0)
        self._errors = (of_norm * norms[lists.nums] + added).astype(np.float32)

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
        """As `topk.top_k`, but a better item may be missing; every list is as long as the exact one.

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
            nums = np.sort(self._proposed(units[asks], k, mask.of(asks)), axis=1)
            exact = np.full(nums.shape, -np.inf)
            rows, columns = np.nonzero(nums >= 0)
            exact[rows, columns] = inner_products(wide, asks[rows], nums[rows, columns], items.shards)
            best = np.argsort(-exact, axis=1, kind="stable")[:, :k]  # equal scores keep the order of nums
            width = best.shape[1]
            scores[asks, :width] = np.take_along_axis(exact, best, axis=1)
            ids[asks, :width] = np.where(np.isfinite(scores[asks, :width]), np.take_along_axis(nums, best, axis=1), -1)
        return Found(ids, scores, ids[:, -1] >= 0)

    def _proposed(self, units: NDArray[np.float32], k: int, mask: Mask) -> NDArray[np.int32]:
        """(n_users, any width) item_nums, padded with -1: the k best of what each user looks at, and what is near."""
        n_users, n_probes = len(units), self.n_probes[mask.group]
        nearest = self._nearest(units, int(n_probes.max()))
        buffers = Buffers.empty(np.full(n_users, -np.inf, dtype=np.float32), k, Float32.capacity(k))
        columns, soon = np.arange(nearest.shape[1]), -(-n_probes // _SOON)
        for low, high in ((np.zeros_like(soon), soon), (soon, n_probes)):  # the nearest first: floors rise early
            chosen = (columns >= low[:, None]) & (columns < high[:, None])
            buffers = self._sifted(units, _visits(nearest, chosen), k, mask, buffers)
            tighten(np.arange(n_users), k, buffers)
        width = max(1, int(buffers.counts.max()))
        return np.where(np.arange(width) < buffers.counts[:, None], buffers.nums[:, :width], -1)

    def _nearest(self, units: NDArray[np.float32], n: int) -> NDArray[np.int32]:
        """(n_users, n) lists whose means score best, in their exact order, so that blocks of users change nothing."""
        n_users, n_lists = len(units), self._means.n_items
        everything = Mask(
            np.ones((1, n_lists), np.bool_), np.zeros(n_users, np.int32), np.zeros(n_users + 1, np.int64),
            np.zeros(0, np.int32), np.ones((n_lists, 1), np.uint64), np.zeros((n_users, 1), np.uint64),
            np.zeros(n_users, np.bool_),
        )  # fmt: skip
        return top_k(units / self.scales, self._means, n, everything)[0]

    def _sifted(self, units: NDArray[np.float32], visits: Visits, k: int, mask: Mask, buffers: Buffers) -> Buffers:
        """The buffers with what of these visits may be among the k best."""
        lists, sizes, low = self.lists, np.diff(self.lists.indptr), 0
        ones = np.ones(int(sizes.max()), dtype=np.float32)
        ends = np.cumsum(np.diff(visits.starts) * sizes[visits.places])
        while low < len(ends):
            done = ends[low - 1] if low else 0
            high = max(low + 1, int(np.searchsorted(ends, done + _SCORES, side="right")))
            scores = self._products(units, visits, low, high, int(ends[high - 1] - done))
            at = np.array([low, 0, 0, 0])
            while not sift(scores, visits, high, lists.indptr, lists.nums, self._errors, ones, mask, k, at, buffers):
                buffers = _doubled(buffers)  # full of near-ties
            low = high
        return buffers

    def _products(
        self, units: NDArray[np.float32], visits: Visits, low: int, high: int, size: int
    ) -> NDArray[np.float32]:
        """(size,) scores of some visits, each users × items."""
        found, at, indptr = np.empty(size, dtype=np.float32), 0, self.lists.indptr
        for visit in range(low, high):
            users = visits.users[visits.starts[visit] : visits.starts[visit + 1]]
            vectors = self._vectors[indptr[visits.places[visit]] : indptr[visits.places[visit] + 1]]
            end = at + len(users) * len(vectors)
            np.matmul(units[users], vectors.T, out=found[at:end].reshape(len(users), len(vectors)))
            at = end
        return found


def _visits(nearest: NDArray[np.int32], chosen: NDArray[np.bool_]) -> Visits:
    """The chosen of each user's lists, by list."""
    users, columns = np.nonzero(chosen)
    places = nearest[users, columns]
    order = np.argsort(places, kind="stable")
    found, starts = np.unique(places[order], return_index=True)
    return Visits(found.astype(np.int64), np.append(starts, len(order)).astype(np.int64), users[order])


def _doubled(buffers: Buffers) -> Buffers:
    """The same entries, with as much room again."""
    names = ("nums", "lower", "upper", "exact")
    arrays = {name: getattr(buffers, name) for name in names}
    return buffers._replace(**{name: np.concatenate([one, np.empty_like(one)], axis=1) for name, one in arrays.items()})
