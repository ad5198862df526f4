"""The search of a block of users on one index: exact or approximate, on the CPU or on a GPU."""

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config.models import RetrieveConfig
from xlrec.errors import MachineError
from xlrec.index.items import ItemIndex
from xlrec.index.ivf import TopK, search_of
from xlrec.index.learnt import Learnt
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.topk import Items, Shards, prepare


class Searched(NamedTuple):
    """What one search multiplies: a model's vectors, or the texts'."""

    learnt: Learnt | None
    items: Items
    dim: int

    @property
    def shards(self) -> Shards:
        """The vectors in float32."""
        return self.items.shards


@lru_cache(maxsize=8)
def searched(index: ItemIndex, learnt: Learnt | None, item_block: int, path: str | None = None) -> Searched:
    """The vectors of a model, of the texts where it is None; prepared once for all tasks of a worker.

    Args:
        index: Tonight's.
        learnt: The model.
        item_block: Items per matrix product.
        path: As of `prepare`.
    """
    found = (index.shards, index.norms, index.dim) if learnt is None else (learnt.outputs, learnt.norms, learnt.dim)
    vectors, norms, dim = found
    items = prepare(vectors, norms=np.asarray(norms), item_block=item_block, path=path)
    return Searched(learnt, items, dim)


class Search:
    """Finds the best items of users' queries on one index."""

    def __init__(
        self, index: ItemIndex, config: RetrieveConfig, *, engine: TopK | None = None, device: str = "cpu"
    ) -> None:
        """Multiplies nothing yet.

        Args:
            index: Tonight's.
            config: Candidates, search and blocks are used.
            engine: Searches; None: as the config says.
            device: Of torch: where an exact search multiplies.

        Raises:
            MachineError: The device is a GPU, and this worker's torch sees none.
        """
        self.index, self.config, self.engine = index, config, engine
        self.device = device if engine is None and config.search == "exact" else "cpu"
        if self.device != "cpu":
            self.engine = _on_device(device)
        self.paths: set[str] = set()
        """First passes that were taken so far."""

    def best(
        self, queries: NDArray[np.float64], mask: Mask, side: Searched
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(n, candidates) item_nums and float64 scores, as `top_k` gives them.

        Args:
            queries: (n, side.dim) float64; NaN where nothing is asked.
            mask: What each user may get.
            side: What is searched in.
        """
        self.paths.add(side.items.path.name if self.device == "cpu" else f"bfloat16 on {self.device.split(':')[0]}")
        engine = self.engine or search_of(self.index, side.learnt, self.config.search)
        k, block = self.config.candidates, self.config.user_block
        ids, scores = np.full((len(queries), k), -1, dtype=np.int32), np.full((len(queries), k), -np.inf)
        asked = np.flatnonzero(np.isfinite(queries).all(axis=1))
        if len(asked):
            ids[asked], scores[asked] = engine(
                queries[asked], side.items, k, mask.of(asked), zero_vectors=False, user_block=block
            )
        return ids, scores


def _on_device(device: str) -> TopK:
    """The exact search on a device of torch."""
    import torch

    from xlrec.kernels.search.topk_torch import top_k_torch

    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise MachineError(
            f"retrieve.device is {device}, but torch sees no GPU on this worker: mend its driver, or set it to cpu"
        )
    return partial(top_k_torch, device=device)
