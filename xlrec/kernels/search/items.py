"""Item vectors prepared for many searches: norms, the path of the first pass, and rounded tiles that are kept."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.gather import gather_rows
from xlrec.kernels.base.rounding import row_norms
from xlrec.kernels.search.paths import PATHS, Block, Float32

#: Vectors of items row-aligned by item_num: (first item_num, (rows, dim) float32), ascending, without gaps.
Shards = Sequence[tuple[int, NDArray[np.float32]]]

#: Items per matrix product: raw scores of 1,024 users take 8 MB at most, and stay in the cache until they are scanned.
ITEM_BLOCK: Final = 2048
#: Rounded tiles are kept up to this many bytes; further ones are made anew for each block of users.
KEPT_BYTES: Final = 256 << 20
_LARGEST_ITEM: Final = 2.0**120


def norms_of(shards: Shards) -> NDArray[np.float64]:
    """(n_items,) float64 Euclidean norms; NaN or inf where a vector is not finite."""
    norms = [row_norms(np.asarray(rows)) for _, rows in shards]
    return np.concatenate(norms) if norms else np.zeros(0)


def checked_norms(shards: Shards, norms: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """(n_items,) float64 norms of the items: those given, also (n_items,) float64, or computed ones.

    Raises:
        ValueError: One is outside of what float32 sums hold without overflow.
    """
    norms = norms_of(shards) if norms is None else norms
    largest = float(np.max(norms, where=np.isfinite(norms), initial=0.0))
    if largest > _LARGEST_ITEM:
        raise ValueError(
            f"an item vector has norm {largest:g}, allowed is at most {_LARGEST_ITEM:g}: scale the vectors"
        )
    return norms


class Items:
    """Items to search in; make it by `prepare_items`, once for all blocks of users. Not for several threads at once."""

    def __init__(
        self, shards: Shards, norms: NDArray[np.float64], path: type[Float32], item_block: int, kept_bytes: int
    ) -> None:
        """Keeps no tile yet."""
        self.shards = [(first, np.asarray(rows)) for first, rows in shards]
        self.norms, self.path, self.item_block = norms, path, item_block
        self.dim = self.shards[0][1].shape[1] if self.shards else 0
        self.n_items = len(norms)
        self._kept: dict[int, Block] = {}
        self._left = kept_bytes
        self._samples: dict[int, tuple[NDArray[np.int64], Block]] = {}

    def tiles(self) -> Iterator[tuple[int, Block]]:
        """(first item_num, rounded vectors) of at most `item_block` items each, ascending."""
        for first, vectors in self.shards:
            for low in range(0, len(vectors), self.item_block):
                yield first + low, self._tile(first + low, vectors[low : low + self.item_block])

    def sample(self, size: int) -> tuple[NDArray[np.int64], Block]:
        """(size,) int64 item_nums drawn evenly, ascending, always the same, and their rounded vectors.

        The vectors are kept.
        """
        if size not in self._samples:
            nums = np.sort(np.random.default_rng(0).choice(self.n_items, size, replace=False))
            self._samples[size] = nums, self.path.round_vectors(gather_rows(self.shards, nums, self.dim))
        return self._samples[size]

    def _tile(self, first: int, vectors: NDArray[np.float32]) -> Block:
        block = self._kept.get(first)
        if block is None:
            block = self.path.round_vectors(vectors)
            size = vectors.size * self.path.bytes_each
            if size <= self._left:
                self._left -= size
                self._kept[first] = block
        return block


def prepare_items(
    shards: Shards,
    *,
    norms: NDArray[np.float64] | None = None,
    path: str = "float32",
    item_block: int = ITEM_BLOCK,
    kept_bytes: int = KEPT_BYTES,
) -> Items:
    """Items to search in, for any number of `top_k` calls.

    The vectors may be memory-mapped and are not copied; known `norms` (n_items,) float64 save a pass over them. The
    first pass `path` is `float32`, `bf16` or `int8`; `xlrec.runtime.first_pass` names the fastest one here.
    `item_block` items are in one matrix product, and rounded tiles may take `kept_bytes`.

    Raises:
        ValueError: An item's norm is outside of what float32 holds without overflow.
    """
    return Items(shards, checked_norms(shards, norms), PATHS[path], item_block, kept_bytes)
