"""First passes of the exact top-k: float32, bfloat16 or int8 products, each with what its rounding takes away.

A path makes tiles of item vectors and blocks of unit queries, and multiplies them into raw scores, of which
raw · columns[j] · rows[u] is near the score. What is near is said by the residuals, ‖vector - its rounding‖, which are
measured, and by `roundoff` and `relative` of the product; see `xlrec.kernels.search.topk` for the bound made of them.
"""

from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.rounding import to_bf16, to_int8

Vectors = NDArray[np.float32]
_SAFETY: Final = 1.01


class Block(NamedTuple):
    """Rounded vectors: `data` for the product, float32 scales and float64 residuals of the rows."""

    data: Any
    scales: NDArray[np.float32]
    residuals: NDArray[np.float64]


class Float32:
    """BLAS on the vectors as they are."""

    name: ClassVar = "float32"
    roundoff: ClassVar = 2.0**-24  # of the sums
    relative: ClassVar = 0.0  # of what the product rounds its sums to
    bytes_each: ClassVar = 0  # a copy takes, per number

    @staticmethod
    def capacity(k: int) -> int:
        """Entries of a user's buffer."""
        return 2 * k + 128

    @staticmethod
    def block(vectors: Vectors) -> Block:
        """Nothing is rounded."""
        return Block(vectors, np.ones(len(vectors), np.float32), np.zeros(len(vectors)))

    @staticmethod
    def scratch(size: int) -> Any:
        """Memory for the raw scores of a tile."""
        return np.empty(size, dtype=np.float32)

    @staticmethod
    def product(queries: Block, items: Block, scratch: Any) -> NDArray[Any]:
        """(n_queries, n_items) raw scores, in the scratch memory."""
        found: NDArray[np.float32] = _tile(queries, items, scratch)
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and inf vectors: what they score never ranks
            return np.matmul(queries.data, items.data.T, out=found)


class Bf16(Float32):
    """bfloat16 inputs, float32 sums in hardware, rounded to bfloat16; raw scores are its bits, uint16."""

    name: ClassVar = "bf16"
    roundoff: ClassVar = 2.0**-23  # units that truncate are allowed
    relative: ClassVar = 1.01 * 2.0**-8
    bytes_each: ClassVar = 2

    @staticmethod
    def block(vectors: Vectors) -> Block:
        """Rounds to the nearest; what bfloat16 holds as subnormal becomes 0, so that no hardware flushes it."""
        import torch

        vectors = np.ascontiguousarray(vectors)
        bits, residuals = np.empty(vectors.shape, np.int16), np.empty(len(vectors))
        to_bf16(vectors.view(np.uint32), vectors, bits.view(np.uint16), residuals)
        data = torch.from_numpy(bits).view(torch.bfloat16)
        return Block(data, np.ones(len(vectors), np.float32), residuals)

    @staticmethod
    def scratch(size: int) -> Any:
        """A bfloat16 tensor."""
        import torch

        return torch.empty(size, dtype=torch.bfloat16)

    @staticmethod
    def product(queries: Block, items: Block, scratch: Any) -> NDArray[Any]:
        """(n_queries, n_items) bits of the raw scores, in the scratch memory."""
        import torch

        found = _tile(queries, items, scratch)
        torch.mm(queries.data, items.data.T, out=found)
        bits: NDArray[Any] = found.view(torch.int16).numpy().view(np.uint16)
        return bits


class Int8(Float32):
    """Rows scaled to -127 … 127 and rounded; the sums are exact integers."""

    name: ClassVar = "int8"
    roundoff: ClassVar = 0.0
    relative: ClassVar = 0.0
    bytes_each: ClassVar = 1

    @staticmethod
    def capacity(k: int) -> int:
        """Its scores are coarse: many are near the k-th."""
        return min(16 * k, 4 * k + 4096) + 512

    @staticmethod
    def block(vectors: Vectors) -> Block:
        """Rounds to the nearest multiple of a row's scale."""
        import torch

        whole, scales = np.empty(vectors.shape, np.int8), np.empty(len(vectors), np.float32)
        residuals = np.empty(len(vectors))
        to_int8(np.ascontiguousarray(vectors), whole, scales, residuals)
        return Block(torch.from_numpy(whole), scales, residuals)

    @staticmethod
    def scratch(size: int) -> Any:
        """An int32 tensor."""
        import torch

        return torch.empty(size, dtype=torch.int32)

    @staticmethod
    def product(queries: Block, items: Block, scratch: Any) -> NDArray[Any]:
        """(n_queries, n_items) int32 raw scores, in the scratch memory."""
        import torch

        found = _tile(queries, items, scratch)
        torch._int_mm(queries.data, items.data.T, out=found)
        raw: NDArray[Any] = found.numpy()
        return raw


def _tile(queries: Block, items: Block, scratch: Any) -> Any:
    """(n_queries, n_items) view of the first of the scratch memory, an array or a tensor."""
    shape = (len(queries.scales), len(items.scales))
    return scratch[: shape[0] * shape[1]].reshape(shape)


#: From the one that needs nothing of the machine on.
PATHS: Final[dict[str, type[Float32]]] = {path.name: path for path in (Float32, Bf16, Int8)}


def error_factors(dim: int, roundoff: float, r: float) -> tuple[float, float, float]:
    """Of ‖v‖ and of d_v in the bound, and what is added; see `xlrec.kernels.search.topk`."""
    n = (dim + 2) * roundoff
    sums = n / (1 - n) * (1 + r) + 2.0**-20
    return _SAFETY * (r + sums), _SAFETY * (1 + r + sums), _SAFETY * (dim + 8) * 2.0**-124
