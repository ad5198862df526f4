"""The lists beside an item index, where `retrieve.search` is ann: files per model, and what was measured.

`ivf-NNN-*.npy` are mapped into memory; the vectors lie there once more, list after list. `ivf-NNN.json`, the last file,
names the vectors that the lists were made of: lists of other vectors do not open, and without it the search is exact.
faiss, in the extra `ann`, learns the lists on the driver; workers need none.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import Learnt
from xlrec.kernels.search.approximate import Approximate, Lists, build, laid_out
from xlrec.kernels.search.items import Items
from xlrec.kernels.search.probing import Probes
from xlrec.kernels.search.topk import top_k
from xlrec.runtime.arrays import load, replace, save
from xlrec.runtime.machine import imported

MEASURED: Final = "ivf-measured.json"
#: Searches as `top_k` does, in prepared items.
TopK = Callable[..., tuple[NDArray[np.int32], NDArray[np.float64]]]


def require() -> Any:
    """The module faiss, set to one thread, since the lists hang on it.

    Raises:
        MachineError: it is not installed here, or misses a library of the system.
    """
    faiss = imported(
        "faiss",
        "retrieve.search is ann, and faiss",
        "run `pip install 'xlrec[ann]'` where the driver runs, or set retrieve.search to exact",
    )
    faiss.omp_set_num_threads(1)
    return faiss


def lay(
    index: ItemIndex, learnt: Learnt | None, items: Items, scales: NDArray[np.float64], *, n_lists: int, seed: int
) -> Lists:
    """Learns the lists and writes them; they open once `tell` has written what was measured.

    Args:
        index: A finished index.
        learnt: The model whose outputs are in the lists; None: the texts' vectors.
        items: These vectors; at least one can rank.
        scales: (dim,) of `kernels.approximate.scales_of`.
        n_lists: At most the number of items that can rank.
        seed: Of k-means.
    """
    require()
    owners = build(items.shards, items.norms, scales, n_lists=n_lists, seed=seed)
    path = _file(index, learnt, "vectors")
    part = path.with_name(f"{path.name}.part")
    shape = (int((owners >= 0).sum()), len(scales))
    vectors = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=shape)
    lists = laid_out(items.shards, owners, scales, vectors)
    vectors.flush()
    part.replace(path)
    for name in ("means", "indptr", "nums"):
        save(_file(index, learnt, name), getattr(lists, name))
    return lists


def tell(index: ItemIndex, learnt: Learnt | None, scales: NDArray[np.float64], probes: Probes) -> None:
    """Writes what was measured: from here on the lists of `lay` open."""
    told = {
        "vectors": _vectors(index, learnt), "n_probes": probes.n_probes.tolist(), "wanted": probes.wanted.tolist(),
        "found": probes.found.tolist(), "scales": scales.tolist(),
    }  # fmt: skip
    replace(_path(index, learnt), lambda file: file.write(json.dumps(told).encode()))


def discard(index: ItemIndex) -> None:
    """Removes what an earlier training left in the folder."""
    for path in index.folder.glob("ivf-*"):
        path.unlink(missing_ok=True)


def finish(index: ItemIndex, counts: Mapping[str, int]) -> None:
    """Writes what was measured in all: from here on the index has its lists, also where too few items were for any."""
    replace(index.folder / MEASURED, lambda file: file.write(json.dumps(dict(counts)).encode()))


def laid(index: ItemIndex) -> bool:
    """Whether a training laid lists beside the index."""
    return (index.folder / MEASURED).exists()


def opened(index: ItemIndex, learnt: Learnt | None) -> Approximate | None:
    """The approximate search of a model's vectors, one object a process; None where none was written.

    Raises:
        LakeError: the lists are of other vectors than the index's, or cannot be read.
    """
    path = _path(index, learnt)
    return _opened(index, learnt, path.stat().st_mtime_ns) if path.exists() else None


def search_of(index: ItemIndex, learnt: Learnt | None, search: str) -> TopK:
    """The search that `retrieve.search` names: exact, also where no lists of these vectors were laid."""
    near = opened(index, learnt) if search == "ann" else None
    return near.top_k if near else top_k


@lru_cache(maxsize=8)
def _opened(index: ItemIndex, learnt: Learnt | None, _changed: int) -> Approximate:
    path = _path(index, learnt)
    told = json.loads(path.read_text("utf-8"))
    if told["vectors"] != _vectors(index, learnt):
        raise LakeError(f"{path} was made of vectors {told['vectors']}, not of the index's: run `xlrec train` again")
    try:
        lists = Lists(*(load(_file(index, learnt, name)) for name in Lists._fields))
    except (OSError, ValueError) as error:
        raise LakeError(f"the lists beside {path} cannot be read ({error}): run `xlrec train` again") from error
    norms = np.asarray(index.norms if learnt is None else learnt.norms)
    return Approximate(lists, norms, np.array(told["scales"]), np.array(told["n_probes"], dtype=np.int64))


def _file(index: ItemIndex, learnt: Learnt | None, name: str) -> Path:
    path = _path(index, learnt)
    return path.with_name(f"{path.stem}-{name}.npy")


def _path(index: ItemIndex, learnt: Learnt | None) -> Path:
    return index.folder / f"ivf-{'texts' if learnt is None else f'{learnt.place:03d}'}.json"


def _vectors(index: ItemIndex, learnt: Learnt | None) -> list[Any]:
    """What tells the vectors: how many, and of which model."""
    return [index.n_items, "texts" if learnt is None else learnt.fingerprint]
