"""The exact top-k on a device of torch: the same ids and scores as `xlrec.kernels.search.topk`, bit for bit.

See `xlrec.kernels.search.device_search` for the search of one block of users.
"""

from importlib.util import find_spec

import numpy as np
import torch

from xlrec.kernels.search.device_items import DeviceItems
from xlrec.kernels.search.device_search import DeviceSearch
from xlrec.kernels.search.engine import Queries, TopK
from xlrec.kernels.search.items import Items
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.topk import Users, query_lengths, top_k


class TorchSearch:
    """The exact search on a device; items are copied once, and stay there where they fit."""

    def __init__(
        self,
        items: Items,
        device: str = "cuda",
        *,
        dtype: torch.dtype | None = None,
        item_block: int = 1 << 22,
        fused: bool | None = None,
        keep_bytes: int | None = None,
    ) -> None:
        """Copies the items; they may be more than the device holds.

        The product is of `dtype`, None: bfloat16 on CUDA, float32 elsewhere; of `item_block` items at most. `fused`
        takes the compiled pass, None: on CUDA, where Triton is installed. `keep_bytes` is as of `DeviceItems`.

        Raises:
            ValueError: float32 is asked for on CUDA, where the product may be TF32.
        """
        on_cuda = torch.device(device).type == "cuda"
        dtype = dtype or (torch.bfloat16 if on_cuda else torch.float32)
        if on_cuda and dtype != torch.bfloat16:
            raise ValueError(f"dtype is {dtype}, allowed on CUDA is bfloat16: leave it out")
        self.items, self.item_block = items, item_block
        self.first_pass = f"bfloat16 on {device.split(':')[0]}"
        self.fused = on_cuda and find_spec("triton") is not None if fused is None else fused
        self.device_items = DeviceItems(items, device, dtype, keep_bytes=keep_bytes)

    def top_k(self, queries: Queries, k: int, mask: Mask, *, zero_vectors: bool = True, user_block: int = 4096) -> TopK:
        """As `SearchEngine.top_k`: (n_users, k) int32 and (n_users, k) float64 of (n_users, dim) floating queries."""
        wide = np.ascontiguousarray(queries, dtype=np.float64)
        lengths = query_lengths(wide)
        ids, scores = np.full((len(wide), k), -1, dtype=np.int32), np.full((len(wide), k), -np.inf)
        ranked = np.flatnonzero(np.isfinite(lengths))
        ranked = ranked[np.argsort(mask.group[ranked], kind="stable")]
        zero, ranked = ranked[lengths[ranked] == 0], ranked[lengths[ranked] > 0]
        if len(zero):  # all scores are alike: nothing to multiply
            ids[zero], scores[zero] = top_k(wide[zero], self.items, k, mask.of_users(zero), zero_vectors=zero_vectors)
        smallest = 0.0 if zero_vectors else 5e-324
        for start in range(0, len(ranked) if self.items.n_items else 0, user_block):
            rows = ranked[start : start + user_block]
            users = Users(wide[rows], lengths[rows], mask.of_users(rows), k, smallest)
            search = DeviceSearch(users, self.device_items, self.item_block, fused=self.fused)
            ids[rows], scores[rows] = search.best_lists()
        return ids, scores
