"""The inverted file beside an item index, where `retrieve.search` is ann: a file per model, and what was measured.

`ivf-NNN.faiss` is mapped into memory. `ivf-NNN.json` is written last, and names the vectors that it was made of: a file
of other vectors does not open, and without it the search is exact. faiss is in the extra `ann`.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xlrec.errors import LakeError, MachineError
from xlrec.index import ItemIndex
from xlrec.index_files import replace
from xlrec.index_learnt import Learnt
from xlrec.kernels.approximate import Approximate
from xlrec.kernels.probing import Probes
from xlrec.kernels.topk import top_k

#: Searches as `top_k` does, in prepared items.
Search = Callable[..., tuple[NDArray[np.int32], NDArray[np.float64]]]


def require() -> Any:
    """The module faiss, set to one thread: a task has one, and the lists hang on it.

    Raises:
        MachineError: it is not installed here, or misses a library of the system.
    """
    try:
        import faiss
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MachineError(
            f"retrieve.search is ann, and faiss cannot be imported ({reason}): run `pip install 'xlrec[ann]'` on every "
            "machine, or set retrieve.search to exact"
        ) from error
    faiss.omp_set_num_threads(1)
    return faiss


def write(index: ItemIndex, learnt: Learnt | None, ivf: Any, scales: NDArray[np.float64], probes: Probes) -> None:
    """Writes what `opened` opens.

    Args:
        index: A finished index.
        learnt: The model whose outputs are in the file; None: the texts' vectors.
        ivf: Of `kernels.approximate.build`.
        scales: It was made with.
        probes: What each market looks at.
    """
    faiss, path = require(), _path(index, learnt)

    def written(file: IO[bytes]) -> None:
        faiss.write_index(ivf, faiss.PyCallbackIOWriter(file.write))

    replace(path.with_suffix(".faiss"), written)
    told = {
        "vectors": _vectors(index, learnt), "faiss": faiss.__version__, "n_lists": ivf.nlist,
        "n_probes": probes.n_probes.tolist(), "wanted": probes.wanted.tolist(), "found": probes.found.tolist(),
        "scales": scales.tolist(),
    }  # fmt: skip
    replace(path, lambda file: file.write(json.dumps(told).encode()))


def discard(index: ItemIndex) -> None:
    """Removes what an earlier training left in the folder."""
    for path in index.folder.glob("ivf-*"):
        path.unlink(missing_ok=True)


def laid(index: ItemIndex) -> bool:
    """Whether a training laid any inverted file beside the index."""
    return any(index.folder.glob("ivf-*.json"))


def opened(index: ItemIndex, learnt: Learnt | None) -> Approximate | None:
    """The approximate search of a model's vectors, one object a process; None where none was written.

    Raises:
        LakeError: the file is of other vectors than the index's, or cannot be read.
        MachineError: faiss is missing.
    """
    path = _path(index, learnt)
    return _opened(index, learnt, path.stat().st_mtime_ns) if path.exists() else None


def search_of(index: ItemIndex, learnt: Learnt | None, search: str) -> Search:
    """The search that `retrieve.search` names: exact, also where no inverted file of these vectors was laid."""
    near = opened(index, learnt) if search == "ann" else None
    return near.top_k if near else top_k


@lru_cache(maxsize=8)
def _opened(index: ItemIndex, learnt: Learnt | None, _changed: int) -> Approximate:
    faiss, path = require(), _path(index, learnt)
    told = json.loads(path.read_text("utf-8"))
    if told["vectors"] != _vectors(index, learnt):
        raise LakeError(f"{path} was made of vectors {told['vectors']}, not of the index's: run `xlrec train` again")
    try:
        ivf = faiss.read_index(str(path.with_suffix(".faiss")), faiss.IO_FLAG_MMAP)
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        raise LakeError(f"{path.with_suffix('.faiss')} cannot be read ({reason}): run `xlrec train` again") from error
    return Approximate(ivf, np.array(told["scales"]), np.array(told["n_probes"], dtype=np.int64))


def _path(index: ItemIndex, learnt: Learnt | None) -> Path:
    return index.folder / f"ivf-{'texts' if learnt is None else f'{learnt.place:03d}'}.json"


def _vectors(index: ItemIndex, learnt: Learnt | None) -> list[Any]:
    """What tells the vectors: how many, and of which model."""
    return [index.n_items, "texts" if learnt is None else learnt.model.fingerprint]
