"""Item vectors on a device of torch: kept there as a whole where they fit, else streamed piece by piece."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrec.kernels.search.items import Items

WIDTH: Final = 64  # rounded vectors are filled up with zeros to a multiple of it
_SHARE: Final = 0.6  # of the device's free memory that items may take
_PIECE: Final = 1 << 28  # bytes of float32 vectors that are streamed at once


class Piece(NamedTuple):
    """Consecutive items on the device: rounded vectors for the product, and exact ones for rescoring."""

    first: int
    vectors: Tensor  # (n, dim) float32
    rounded: Tensor  # (n, width) of the product's kind
    residuals: Tensor  # (n,) float64 distances of the two

    def cut(self, low: int, high: int) -> "Piece":
        """The items from row `low` to `high`."""
        return Piece(self.first + low, self.vectors[low:high], self.rounded[low:high], self.residuals[low:high])


class DeviceItems:
    """Items to search in on a device, made once for all blocks of users. Not for several threads at once."""

    def __init__(self, items: Items, device: str, kind: torch.dtype, *, keep_bytes: int | None = None) -> None:
        """Copies the items where they fit into `keep_bytes` of the device, None: most of what is free.

        `kind` is that of the product, float32 or bfloat16.
        """
        self.items, self.device, self.kind = items, torch.device(device), kind
        needed = items.n_items * (4 * items.dim + 2 * padded(items.dim) + 32)
        if keep_bytes is None:
            keep_bytes = int(_SHARE * self._free())
        self._kept = self._rounded(0, self._whole()) if needed <= keep_bytes else None
        self.room = self._free()
        self.norms = torch.tensor(items.norms, device=device)

    def _free(self) -> int:
        """Free bytes of the device's memory; of a CPU, more than any machine has."""
        return int(torch.cuda.mem_get_info(self.device)[0]) if self.device.type == "cuda" else 1 << 60

    def pieces(self) -> Iterator[Piece]:
        """All items, ascending."""
        yield from [self._kept] if self._kept else (self._rounded(*part) for part in self._streamed())

    def _rounded(self, first: int, vectors: Tensor) -> Piece:
        rounded = filled(vectors, self.kind)
        residuals = torch.empty(len(vectors), dtype=torch.float64, device=self.device)
        step = max(1, (1 << 26) // max(1, rounded.shape[1]))
        for low in range(0, len(vectors), step):
            some = slice(low, low + step)
            apart = vectors[some] - rounded[some, : vectors.shape[1]].float()  # exact: a number and its rounding
            residuals[some] = apart.double().norm(dim=1)
        return Piece(first, vectors, rounded, residuals)

    def _whole(self) -> Tensor:
        vectors = torch.empty((self.items.n_items, self.items.dim), dtype=torch.float32, device=self.device)
        for first, part in self._streamed():
            vectors[first : first + len(part)] = part
        return vectors

    def _streamed(self) -> Iterator[tuple[int, Tensor]]:
        """(first item_num, vectors on the device); the next piece is copied while this one is worked on."""
        step = max(1, _PIECE // (4 * max(1, self.items.dim)))
        parts = [
            (first + low, rows[low : low + step])
            for first, rows in self.items.shards
            for low in range(0, len(rows), step)
        ]
        if self.device.type != "cuda":
            yield from ((first, torch.from_numpy(np.array(rows))) for first, rows in parts)
            return
        copies, working = torch.cuda.Stream(self.device), torch.cuda.current_stream(self.device)  # type: ignore[no-untyped-call]
        with ThreadPoolExecutor(1) as ahead:
            waiting = [ahead.submit(_copied, rows, copies) for _, rows in parts[:1]]
            for place, (first, _) in enumerate(parts):
                waiting += [ahead.submit(_copied, rows, copies) for _, rows in parts[place + 1 : place + 2]]
                yield first, _arrived(waiting.pop(0), working)


def padded(dim: int) -> int:
    """Numbers of a rounded vector."""
    return -(-dim // WIDTH) * WIDTH


def filled(vectors: Tensor, kind: torch.dtype) -> Tensor:
    """(n, width) vectors of a `kind` of numbers: (n, dim) float32 ones, rounded and filled up with zeros."""
    rounded = torch.zeros((len(vectors), padded(vectors.shape[1])), dtype=kind, device=vectors.device)
    rounded[:, : vectors.shape[1]] = vectors
    return rounded


def _copied(rows: NDArray[np.float32], copies: Any) -> tuple[Tensor, Tensor, Any]:
    """A copy that is under way to the device, its source in host memory, and the event of its end."""
    host = torch.empty(rows.shape, dtype=torch.float32, pin_memory=True)
    np.copyto(host.numpy(), rows)
    with torch.cuda.stream(copies):
        there = host.to(copies.device, non_blocking=True)
        return there, host, copies.record_event()


def _arrived(copying: "Future[tuple[Tensor, Tensor, Any]]", working: Any) -> Tensor:
    there, _, event = copying.result()
    working.wait_event(event)
    there.record_stream(working)
    return there
