"""Inverted lists beside an item index, where `retrieve.search` is ann: files per model, and the measured recall.

`ivf-NNN-*.npy` are mapped into memory; the vectors lie there once more, list after list. `ivf-NNN.json`, the last file,
names the vectors that the lists were made of: lists of other vectors do not open, and without it the search is exact.
faiss, in the extra `ann`, learns the lists on the driver; workers need none.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import LearntVectors
from xlrec.kernels.search.items import Items
from xlrec.kernels.search.ivf_lists import InvertedLists, assign_lists, invert_lists
from xlrec.kernels.search.ivf_search import IvfSearch
from xlrec.kernels.search.probing import Probes
from xlrec.runtime.arrays import load_array, replace_file, save_array
from xlrec.runtime.machine import imported_extra

MEASURED: Final = "ivf-measured.json"


def require_faiss() -> Any:
    """The module faiss, set to one thread, since the lists depend on it.

    Raises:
        MachineError: it is not installed here, or misses a library of the system.
    """
    faiss = imported_extra(
        "faiss",
        "retrieve.search is ann, and faiss",
        "run `pip install 'xlrec[ann]'` where the driver runs, or set retrieve.search to exact",
    )
    faiss.omp_set_num_threads(1)
    return faiss


def write_lists(
    index: ItemIndex,
    learnt: LearntVectors | None,
    items: Items,
    scales: NDArray[np.float64],
    *,
    n_lists: int,
    seed: int,
) -> InvertedLists:
    """Learns the lists and writes them; they open once `write_probes` has written the measured recall.

    `items` are the outputs of the model `learnt`, the texts' vectors where it is None; at least `n_lists` can rank.
    `scales` are (dim,) float64 of `coordinate_scales`.
    """
    require_faiss()
    owners = assign_lists(items.shards, items.norms, scales, n_lists=n_lists, seed=seed)
    # memory holds no copy of the vectors; without `write_probes` nobody opens the file
    path, shape = _file(index, learnt, "vectors"), (int((owners >= 0).sum()), len(scales))
    vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    lists = invert_lists(items.shards, owners, scales, vectors)
    vectors.flush()
    for name in ("means", "indptr", "nums"):
        save_array(_file(index, learnt, name), getattr(lists, name))
    return lists


def write_probes(index: ItemIndex, learnt: LearntVectors | None, scales: NDArray[np.float64], probes: Probes) -> None:
    """Writes the probes of each market and their recall: from here on the lists of `write_lists` open.

    `scales` are (dim,) float64 of `coordinate_scales`, as `write_lists` had them.
    """
    contents = {
        "vectors": _vectors_key(index, learnt), "n_probes": probes.n_probes.tolist(), "wanted": probes.wanted.tolist(),
        "found": probes.found.tolist(), "scales": scales.tolist(),
    }  # fmt: skip
    replace_file(_path(index, learnt), lambda file: file.write(json.dumps(contents).encode()))


def discard_lists(index: ItemIndex) -> None:
    """Removes an earlier training's lists from the folder."""
    for path in index.folder.glob("ivf-*"):
        path.unlink(missing_ok=True)


def finish_lists(index: ItemIndex, counts: Mapping[str, int]) -> None:
    """Writes the figures of all models: from here on the index has its lists, even where it has too few items."""
    replace_file(index.folder / MEASURED, lambda file: file.write(json.dumps(dict(counts)).encode()))


def has_lists(index: ItemIndex) -> bool:
    """Whether a training wrote lists beside the index."""
    return (index.folder / MEASURED).exists()


def open_search(index: ItemIndex, learnt: LearntVectors | None, items: Items) -> IvfSearch | None:
    """The approximate search of a model's vectors, one object a process; None where no lists were written.

    Raises:
        LakeError: the lists are of other vectors than the index's, or cannot be read.
    """
    path = _path(index, learnt)
    return _open(index, learnt, items, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=8)
def _open(index: ItemIndex, learnt: LearntVectors | None, items: Items, _changed: int) -> IvfSearch:
    path = _path(index, learnt)
    contents = json.loads(path.read_text("utf-8"))
    if contents["vectors"] != _vectors_key(index, learnt):
        raise LakeError(
            f"{path} was made of vectors {contents['vectors']}, not of the index's: run `xlrec train` again"
        )
    try:
        lists = InvertedLists(*(load_array(_file(index, learnt, name)) for name in InvertedLists._fields))
    except (OSError, ValueError) as error:
        raise LakeError(f"the lists beside {path} cannot be read ({error}): run `xlrec train` again") from error
    return IvfSearch(lists, items, np.array(contents["scales"]), np.array(contents["n_probes"], dtype=np.int64))


def _file(index: ItemIndex, learnt: LearntVectors | None, name: str) -> Path:
    path = _path(index, learnt)
    return path.with_name(f"{path.stem}-{name}.npy")


def _path(index: ItemIndex, learnt: LearntVectors | None) -> Path:
    return index.folder / f"ivf-{'texts' if learnt is None else f'{learnt.place:03d}'}.json"


def _vectors_key(index: ItemIndex, learnt: LearntVectors | None) -> list[Any]:
    """Identity of the vectors: how many, and of which model."""
    return [index.n_items, "texts" if learnt is None else learnt.fingerprint]
