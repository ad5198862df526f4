"""Item vectors of an index: memory-mapped shards that are row-aligned by item_num, their norms and the item_ids."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.kernels.base.gather import gather_rows
from xlrec.runtime.arrays import load_array

#: Layout of the folder; a folder of another layout does not open.
LAYOUT: Final = 2
META: Final = "meta.json"


class ItemVectors:
    """Vectors, norms and ids of all items; arrays load on first use. Do not write to them."""

    def __init__(self, folder: str) -> None:
        """Reads the folder's sizes.

        Raises:
            LakeError: The folder is missing, unfinished or of another layout; run `train` again.
        """
        self.folder = Path(folder)
        self.meta = _read_meta(self.folder)
        self.n_items: int = self.meta["n_items"]
        self.dim: int = self.meta["dim"]
        self.shard_rows: int = self.meta["shard_rows"]

    @cached_property
    def item_ids(self) -> pa.StringArray:
        """(n_items,) item_id of each item_num, memory-mapped."""
        source = pa.ipc.open_file(pa.memory_map(str(self.folder / "item_ids.arrow")))
        chunks = source.read_all().column(0).chunks
        return cast(pa.StringArray, chunks[0] if chunks else pa.array([], pa.string()))

    @cached_property
    def shards(self) -> list[tuple[int, NDArray[np.float32]]]:
        """(first item_num, (rows, dim) float32) of each shard, ascending; rows have unit norm or are zero (no text)."""
        return self.load_shards("vectors")

    def load_shards(self, name: str) -> list[tuple[int, NDArray[Any]]]:
        """First item_num and rows of each shard, ascending, of an array that lies in a file per shard.

        The rows are (n_rows,) or (n_rows, m) of the dtype that was saved.
        """
        firsts = range(0, self.n_items, self.shard_rows)
        return [(first, load_array(self.folder / f"{name}-{num:05d}.npy")) for num, first in enumerate(firsts)]

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(n_items,) float64 Euclidean norm of each vector; 0 where the item has no text."""
        return load_array(self.folder / "norms.npy")

    def gather_vectors(
        self, item_nums: NDArray[np.integer[Any]], room: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """(n, dim) float32 copy of the vectors of some items.

        Args:
            item_nums: (n,) integer item_nums, repeats allowed.
            room: (at least n, dim) float32 memory for the copy; None: new memory.
        """
        return gather_rows(self.shards, item_nums, self.dim, room)


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LakeError(
            f"no finished item index in {folder} ({error}): build it with the train or nightly job"
        ) from error
    if meta.get("layout") != LAYOUT:
        raise LakeError(
            f"item index {folder} has layout {meta.get('layout')!r}, this version reads {LAYOUT}: build it again"
        )
    return meta
