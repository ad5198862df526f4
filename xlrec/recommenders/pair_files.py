"""Files of counted pairs: one set per block from the tasks, joined by the driver, mapped by later tasks."""

import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.history.covisits import PairCounts
from xlrec.kernels.history.item_weights import Counts
from xlrec.runtime.arrays import load_array, save_array, save_array_parts

_BLOCKS: Final = "blocks"
_KINDS: Final = {"users": np.int32, "sizes": np.int64, "nums": np.int32, "counts": np.int32, "closeness": np.float64}


def save_pairs(folder: str, block: int, pairs: PairCounts) -> None:
    """Writes one file per field of a block."""
    for field, array in pairs._asdict().items():
        save_array(_piece(folder, field, block), array)


def join_pairs(folder: str, n_blocks: int) -> None:
    """Joins each field of all blocks into one file; a block without choices has none."""
    for field in PairCounts._fields:
        _join(folder, n_blocks, field)
    shutil.rmtree(Path(folder) / _BLOCKS, ignore_errors=True)


def _join(folder: str, n_blocks: int, field: str) -> None:
    kind: np.dtype[Any] = np.dtype(_KINDS[field])
    paths = [_piece(folder, field, block) for block in range(n_blocks)]
    lengths = np.array([load_array(path).shape[0] if path.exists() else 0 for path in paths])
    if field == "sizes":
        sizes = [load_array(path) for path in paths if path.exists()]
        save_array(Path(folder) / "indptr.npy", indptr_of(np.concatenate([np.zeros(0, kind), *sizes])))
        save_array(Path(folder) / "starts.npy", indptr_of(lengths))
    else:
        shape = (int(lengths.sum()),)
        save_array_parts(
            Path(folder) / f"{field}.npy", kind, shape, (load_array(path) for path in paths if path.exists())
        )


def open_counts(folder: str) -> Counts:
    """Counts that `join_pairs` wrote, memory-mapped."""
    return Counts(*(load_array(Path(folder) / f"{field}.npy") for field in Counts._fields))


def _piece(folder: str, field: str, block: int) -> Path:
    return Path(folder) / _BLOCKS / f"{field}-{block:05d}.npy"
