"""The search of a block of users on one index: picks the engine, exact or approximate, on the CPU or on a GPU."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config.models import Config, RetrieveConfig
from xlrec.errors import MachineError
from xlrec.index import ivf
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import LearntVectors, models_of
from xlrec.kernels.search.engine import ExactSearch, SearchEngine, TopK
from xlrec.kernels.search.items import Items, prepare_items
from xlrec.kernels.search.mask import Mask
from xlrec.runtime.first_pass import first_pass_for


class VectorSpace(NamedTuple):
    """Item vectors of one search: a model's outputs, or the texts' vectors."""

    item_index: ItemIndex
    learnt: LearntVectors | None
    items: Items
    dim: int


@lru_cache(maxsize=8)
def vector_space(
    index: ItemIndex, learnt: LearntVectors | None, item_block: int, path: str | None = None
) -> VectorSpace:
    """The space of a model, of the texts where it is None; prepared once for all tasks of a worker.

    `path` is the first pass, as of `prepare_items`; None: the fastest on this machine.
    """
    space = (index.shards, index.norms, index.dim) if learnt is None else (learnt.outputs, learnt.norms, learnt.dim)
    shards, norms, dim = space[0], np.asarray(space[1]), space[2]
    items = prepare_items(shards, norms=norms, item_block=item_block, path=path or first_pass_for(shards, norms))
    return VectorSpace(index, learnt, items, dim)


class IndexSearch:
    """The vector spaces of one index, and the engine of each."""

    def __init__(self, index: ItemIndex, config: Config, *, device: str = "cpu") -> None:
        """Prepares the spaces; the index's models serve where `train.factors` is enabled.

        An exact search multiplies on `device`, of torch.

        Raises:
            MachineError: The device is a GPU, and this worker's torch sees none.
        """
        self.config = config.retrieve
        device = device if self.config.search == "exact" else "cpu"
        models = models_of(index) if config.train.factors.enabled else None
        path = None if device == "cpu" else "float32"
        each = models.each if models else [None]
        #: One for each model; the texts' alone without models.
        self.spaces = [vector_space(index, learnt, self.config.item_block, path) for learnt in each]
        #: (n_markets,) int64 space of each market.
        self.space_nums = models.places if models else np.zeros(len(index.markets), dtype=np.int64)
        self._engines = [engine_of(space, self.config, device) for space in self.spaces]
        #: First passes that were used so far.
        self.first_passes: set[str] = set()

    def best_items(self, queries: NDArray[np.float64], mask: Mask, space_num: int) -> TopK:
        """(n_users, candidates) int32 item_nums and float64 scores, padded with -1 and -inf.

        `queries` are (n_users, dim) float64 of the space, NaN for users who get nothing.
        """
        engine, config = self._engines[space_num], self.config
        self.first_passes.add(engine.first_pass)
        return engine.top_k(queries, config.candidates, mask, zero_vectors=False, user_block=config.user_block)


def engine_of(space: VectorSpace, config: RetrieveConfig, device: str = "cpu") -> SearchEngine:
    """The engine that `config.search` names; exact, too, where no lists of these vectors were written.

    Raises:
        MachineError: The device is a GPU, and this worker's torch sees none.
        LakeError: The lists are of other vectors than the index's, or cannot be read.
    """
    if device != "cpu":
        return _torch_search(space.items, device)
    near = ivf.open_search(space.item_index, space.learnt, space.items) if config.search == "ann" else None
    return near or ExactSearch(space.items)


@lru_cache(maxsize=4)
def _torch_search(items: Items, device: str) -> SearchEngine:
    """The search on a device, whose items are copied once for all tasks of a worker."""
    import torch

    from xlrec.kernels.search.torch_search import TorchSearch

    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise MachineError(
            f"retrieve.device is {device}, but torch sees no GPU on this worker: mend its driver, or set it to cpu"
        )
    return TorchSearch(items, device)
