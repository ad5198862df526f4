"""The exact top-k on a device of torch: the same ids and scores as `xlrec.kernels.search.topk`, bit for bit.

See `xlrec.kernels.search.device_search` for how a block of users is searched.
"""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xlrec.kernels.search.device_items import DeviceItems
from xlrec.kernels.search.device_search import DeviceSearch
from xlrec.kernels.search.items import Items, Shards, prepare
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.topk import Users, lengths_of, top_k


def top_k_torch(
    queries: NDArray[np.floating[Any]],
    items: Items | Shards | DeviceItems,
    k: int,
    mask: Mask,
    *,
    device: str = "cuda",
    dtype: torch.dtype | None = None,
    zero_vectors: bool = True,
    user_block: int = 4096,
    item_block: int = 1 << 22,
    fused: bool | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """What `xlrec.kernels.search.topk.top_k` returns, found on a device.

    Args:
        queries: (n_users, dim), any scale.
        items: Item vectors, float32, in host memory; more than the device holds, if so. `Items` are copied once, and
            stay there for the process's next searches where they fit.
        k: At least 1.
        mask: What each user may get.
        device: Of torch; that of `DeviceItems`, where given.
        dtype: Of the product, float32 or bfloat16; None: bfloat16 on CUDA, float32 elsewhere.
        zero_vectors: False: items whose vector is zero never rank.
        user_block: Users per matrix product.
        item_block: Items per matrix product, at most.
        fused: Whether the compiled pass is taken; None: on CUDA, where Triton is installed.

    Raises:
        ValueError: As of `top_k`; or float32 is asked for on CUDA, where the product may be TF32.
    """
    there = _there(items, device, dtype)
    wide = np.ascontiguousarray(queries, dtype=np.float64)
    lengths = lengths_of(wide)
    ids, scores = np.full((len(wide), k), -1, dtype=np.int32), np.full((len(wide), k), -np.inf)
    ranked = np.flatnonzero(np.isfinite(lengths))
    ranked = ranked[np.argsort(mask.group[ranked], kind="stable")]
    if fused is None:
        fused = there.device.type == "cuda" and find_spec("triton") is not None
    smallest = 0.0 if zero_vectors else 5e-324
    zero, ranked = ranked[lengths[ranked] == 0], ranked[lengths[ranked] > 0]
    if len(zero):  # all scores are alike: nothing to multiply
        ids[zero], scores[zero] = top_k(wide[zero], there.items, k, mask.of(zero), zero_vectors=zero_vectors)
    for start in range(0, len(ranked) if there.items.n_items else 0, user_block):
        rows = ranked[start : start + user_block]
        block = Users(_rows(wide, rows), lengths[rows], mask.of(rows), k, smallest)
        ids[rows], scores[rows] = DeviceSearch(block, there, item_block, fused=fused).found()
    return ids, scores


def _rows(array: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """array[rows], without a copy where they follow each other."""
    first, last = int(rows[0]), int(rows[-1])
    follow = last - first == len(rows) - 1 and bool((np.diff(rows) == 1).all())
    return array[first : last + 1] if follow else array[rows]


def _there(items: Items | Shards | DeviceItems, device: str, dtype: torch.dtype | None) -> DeviceItems:
    if isinstance(items, DeviceItems):
        return items
    on_cuda = torch.device(device).type == "cuda"
    kind = dtype or (torch.bfloat16 if on_cuda else torch.float32)
    if on_cuda and kind != torch.bfloat16:
        raise ValueError(f"dtype is {kind}, allowed on CUDA is bfloat16: leave it out")
    return on_device(items, device, kind) if isinstance(items, Items) else DeviceItems(prepare(items), device, kind)


@lru_cache(maxsize=4)
def on_device(items: Items, device: str, kind: torch.dtype) -> DeviceItems:
    """The items on a device, copied once for all searches of this process."""
    return DeviceItems(items, device, kind)
