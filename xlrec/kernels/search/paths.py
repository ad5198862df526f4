"""First passes of the exact top-k: float32, bfloat16 or int8 products, each with the error of its rounding.

A path makes tiles of item vectors and blocks of unit queries, and multiplies them into raw scores;
raw · columns[j] · rows[u] approximates the score. The residuals ‖vector - its rounding‖ are measured. With `roundoff`
and `relative` of the product they bound the error; see `xlrec.kernels.search.topk`.
"""

from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.rounding import to_bf16, to_int8

Vectors = NDArray[np.float32]
_SAFETY: Final = 1.01


class Block(NamedTuple):
    """Rounded vectors."""

    data: Any  # (n, dim) array or tensor for the product
    scales: NDArray[np.float32]  # (n,) that the rows of the product are multiplied with
    residuals: NDArray[np.float64]  # (n,) distances of the vectors and their roundings


class Float32:
    """BLAS on the vectors as they are."""

    name: ClassVar = "float32"
    sums: ClassVar = "float32"  # kind of the raw scores
    roundoff: ClassVar = 2.0**-24  # of the sums
    relative: ClassVar = 0.0  # of the rounded sums
    bytes_each: ClassVar = 0  # a copy takes, per number

    @staticmethod
    def buffer_capacity(k: int) -> int:
        """Entries of a user's buffer."""
        return 2 * k + 128

    @staticmethod
    def round_vectors(vectors: Vectors) -> Block:
        """Block of (n, dim) float32 vectors, of which nothing is rounded."""
        return Block(vectors, np.ones(len(vectors), np.float32), np.zeros(len(vectors)))

    @classmethod
    def new_scratch(cls, size: int) -> Any:
        """(size,) memory for the raw scores of a tile, of kind `sums`: an array, a tensor where torch multiplies."""
        if cls is Float32:
            return np.empty(size, dtype=np.float32)
        import torch

        return torch.empty(size, dtype=getattr(torch, cls.sums))

    @staticmethod
    def raw_scores(queries: Block, items: Block, scratch: Any) -> NDArray[Any]:
        """(n_queries, n_items) float32 raw scores, in the scratch memory (n_scratch,) of `new_scratch`."""
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and inf vectors never rank
            scores: NDArray[np.float32] = np.matmul(queries.data, items.data.T, out=_tile(queries, items, scratch))
        return scores


class Bf16(Float32):
    """bfloat16 inputs, float32 sums in hardware, rounded to bfloat16; raw scores are its bits, uint16."""

    name: ClassVar = "bf16"
    sums: ClassVar = "bfloat16"
    roundoff: ClassVar = 2.0**-23  # units that truncate are allowed
    relative: ClassVar = 1.01 * 2.0**-8
    bytes_each: ClassVar = 2

    @staticmethod
    def round_vectors(vectors: Vectors) -> Block:
        """Block of (n, dim) float32 vectors rounded to the nearest.

        Subnormal numbers become 0, so that no hardware flushes them.
        """
        import torch

        vectors = np.ascontiguousarray(vectors)
        bits, residuals = np.empty(vectors.shape, np.int16), np.empty(len(vectors))
        to_bf16(vectors.view(np.uint32), vectors, bits.view(np.uint16), residuals)
        data = torch.from_numpy(bits).view(torch.bfloat16)
        return Block(data, np.ones(len(vectors), np.float32), residuals)

    @staticmethod
    def raw_scores(queries: Block, items: Block, scratch: Any) -> NDArray[Any]:
        """(n_queries, n_items) uint16 bits of the raw scores, in the scratch memory (n_scratch,) of `new_scratch`."""
        import torch

        scores = torch.mm(queries.data, items.data.T, out=_tile(queries, items, scratch))
        bits: NDArray[Any] = scores.view(torch.int16).numpy().view(np.uint16)
        return bits


class Int8(Float32):
    """Rows scaled to -127 … 127 and rounded; the sums are exact integers."""

    name: ClassVar = "int8"
    sums: ClassVar = "int32"
    roundoff: ClassVar = 0.0
    bytes_each: ClassVar = 1

    @staticmethod
    def buffer_capacity(k: int) -> int:
        """Its scores are coarse: many are near the k-th."""
        return min(16 * k, 4 * k + 4096) + 512

    @staticmethod
    def round_vectors(vectors: Vectors) -> Block:
        """Block of (n, dim) float32 vectors rounded to the nearest multiple of a row's scale."""
        import torch

        whole, scales = np.empty(vectors.shape, np.int8), np.empty(len(vectors), np.float32)
        residuals = np.empty(len(vectors))
        to_int8(np.ascontiguousarray(vectors), whole, scales, residuals)
        return Block(torch.from_numpy(whole), scales, residuals)

    @staticmethod
    def raw_scores(queries: Block, items: Block, scratch: Any) -> NDArray[Any]:
        """(n_queries, n_items) int32 raw scores, in the scratch memory (n_scratch,) of `new_scratch`."""
        import torch

        raw: NDArray[Any] = torch._int_mm(queries.data, items.data.T, out=_tile(queries, items, scratch)).numpy()
        return raw


def _tile(queries: Block, items: Block, scratch: Any) -> Any:
    """(n_queries, n_items) view of the first of the scratch memory, an array or a tensor."""
    shape = (len(queries.scales), len(items.scales))
    return scratch[: shape[0] * shape[1]].reshape(shape)


#: From the one that needs nothing of the machine on.
PATHS: Final[dict[str, type[Float32]]] = {path.name: path for path in (Float32, Bf16, Int8)}


def error_factors(dim: int, roundoff: float, r: float) -> tuple[float, float, float]:
    """Factors of ‖v‖ and of d_v in the error bound, and the added term; see `xlrec.kernels.search.topk`."""
    n = (dim + 2) * roundoff
    sums = n / (1 - n) * (1 + r) + 2.0**-20
    return _SAFETY * (r + sums), _SAFETY * (1 + r + sums), _SAFETY * (dim + 8) * 2.0**-124
