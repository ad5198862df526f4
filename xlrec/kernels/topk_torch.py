"""The exact top-k on a device of torch: the same ids and scores as `xlrec.kernels.topk`, bit for bit.

Tiles of items are multiplied in bfloat16 (float32 on a CPU), within the bound of that module. The k-th best of the
maxima of groups of columns is no higher than the k-th best score, so only groups whose upper bound reaches it are
looked at, and only their columns that reach it are rescored in float64, in the one fixed order, while their tile is
there. Items may lie in host memory only: the copy of the next tile runs beside the work on this one.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrec.kernels.items import Shards, checked_norms
from xlrec.kernels.mask import Mask
from xlrec.kernels.paths import error_factors
from xlrec.kernels.topk import units_of

_GROUP: Final = 64  # columns whose maximum is looked at first
_NUMBERS: Final = 1 << 24  # of vectors gathered at once for rescoring


def top_k_torch(
    queries: NDArray[np.floating[Any]],
    shards: Shards,
    k: int,
    mask: Mask,
    *,
    device: str = "cuda",
    dtype: torch.dtype | None = None,
    norms: NDArray[np.float64] | None = None,
    zero_vectors: bool = True,
    user_block: int = 4096,
    item_block: int = 65536,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """What `xlrec.kernels.topk.top_k` returns, found on a device.

    Args:
        queries: (n_users, dim), any scale.
        shards: Item vectors, float32, in host memory; more than the device holds, if so.
        k: At least 1.
        mask: What each user may get.
        device: Of torch.
        dtype: Of the product, float32 or bfloat16; None: bfloat16 on CUDA, float32 elsewhere.
        norms: (n_items,) of the items, where known.
        zero_vectors: False: items whose vector is zero never rank.
        user_block: Users per matrix product.
        item_block: Items per matrix product.

    Raises:
        ValueError: As of `top_k`; or float32 is asked for on CUDA, where the product may be TF32.
    """
    on_cuda = torch.device(device).type == "cuda"
    kind = dtype or (torch.bfloat16 if on_cuda else torch.float32)
    if on_cuda and kind != torch.bfloat16:
        raise ValueError(f"dtype is {kind}, allowed on CUDA is bfloat16: leave it out")
    wide = np.ascontiguousarray(queries, dtype=np.float64)
    norms = checked_norms(shards, norms)
    units, lengths = units_of(wide)
    ids, scores = np.full((len(wide), k), -1, dtype=np.int32), np.full((len(wide), k), -np.inf)
    ranked = np.flatnonzero(np.isfinite(lengths))
    ranks = (norms >= (0.0 if zero_vectors else 5e-324)) & (norms < np.inf)
    for start in range(0, len(ranked), user_block):
        rows = ranked[start : start + user_block]
        here = [torch.from_numpy(array[rows]).to(device) for array in (wide, units, lengths)]
        users = _Users(here[0], here[1], here[2], mask.of(rows), k, kind)
        nums, best = _search(users, shards, norms, ranks, item_block)
        ids[rows], scores[rows] = nums.cpu().numpy(), best.cpu().numpy()
    return ids, scores


class _Users(NamedTuple):
    wide: Tensor  # (n_users, dim) float64
    units: Tensor  # (n_users, dim) float32
    lengths: Tensor  # (n_users,) float64
    mask: Mask
    k: int
    kind: torch.dtype


def _search(
    users: _Users, shards: Shards, norms: NDArray[np.float64], ranks: NDArray[np.bool_], item_block: int
) -> tuple[Tensor, Tensor]:
    """(n_users, k) int64 numbers and float64 scores of one block of users."""
    device, n_users = users.wide.device, len(users.wide)
    near = users.units.to(users.kind)
    apart = float((users.units.double() - near.double()).norm(dim=1).max()) if n_users else 0.0
    roundoff = 2.0**-23 if users.kind == torch.bfloat16 else 2.0**-24
    factors = error_factors(users.wide.shape[1], roundoff, apart)
    nums = torch.full((n_users, users.k), -1, device=device)
    best = torch.full((n_users, users.k), -torch.inf, dtype=torch.float64, device=device)
    floors = torch.full((n_users,), -torch.inf, device=device)
    for first, tile in _streamed(shards, item_block, device):
        here = slice(first, first + len(tile))
        rounded = tile.to(users.kind)
        residuals = (tile.double() - rounded.double()).norm(dim=1)
        error = factors[0] * torch.from_numpy(norms[here]).to(device) + factors[1] * residuals + factors[2]
        score, relative = _product(near, rounded)
        spread = score.abs() * relative + error.float()
        allowed = _allowed(users.mask, ranks[here], first, len(tile), device)
        upper = torch.where(allowed, score + spread, -torch.inf)
        lower = torch.where(allowed, score - spread, -torch.inf)
        groups = _grouped(lower).amax(dim=2)
        if groups.shape[1] >= users.k:
            floors = torch.maximum(floors, groups.topk(users.k, dim=1).values[:, -1])
        rows, columns = _reaching(upper, floors)
        found = _exact(users.wide, rows, tile, columns)
        nums, best = _merged(nums, best, rows, columns + first, found)
        exact = best[:, -1] / torch.where(users.lengths > 0, users.lengths, 1.0)
        down = torch.nextafter(exact.float(), torch.full_like(floors, -torch.inf))
        done = torch.where((users.lengths == 0) & (nums[:, -1] >= 0), torch.inf, down)  # all scores are equal: no more
        floors = torch.maximum(floors, done)
    return nums, best


def _product(queries: Tensor, items: Tensor) -> tuple[Tensor, float]:
    """(n_users, n_items) float32 scores, and what part of a score the product rounded off."""
    if queries.dtype == torch.bfloat16 and queries.is_cuda:
        return torch.mm(queries, items.T, out_dtype=torch.float32), 0.0  # no partial sum is rounded to bfloat16
    return torch.mm(queries, items.T).float(), 1.01 * 2.0**-8 if queries.dtype == torch.bfloat16 else 0.0


def _streamed(shards: Shards, item_block: int, device: torch.device) -> Iterator[tuple[int, Tensor]]:
    """(first item_num, vectors on the device) of each tile; the next is copied while this one is worked on."""
    parts = (
        (first + low, rows[low : low + item_block]) for first, rows in shards for low in range(0, len(rows), item_block)
    )
    if device.type != "cuda":
        yield from ((first, torch.from_numpy(np.array(rows))) for first, rows in parts)
        return
    copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def start(first: int, rows: NDArray[np.float32]) -> tuple[int, Tensor, Tensor, Any]:
        host = torch.from_numpy(np.array(rows)).pin_memory()
        with torch.cuda.stream(copies):
            copied = host.to(device, non_blocking=True)
        return first, copied, host, copies.record_event()

    ahead: tuple[int, Tensor, Tensor, Any] | None = None
    for part in [*parts, None]:
        current, ahead = ahead, None if part is None else start(*part)
        if current is not None:
            working = torch.cuda.current_stream(device)
            working.wait_event(current[3])
            current[1].record_stream(working)
            yield current[0], current[1]


def _allowed(mask: Mask, ranks: NDArray[np.bool_], first: int, n_items: int, device: torch.device) -> Tensor:
    """(n_users, n_items) bool: what each user may get of a tile."""
    here = slice(first, first + n_items)
    group, eligible = torch.from_numpy(mask.group.astype(np.int64)), torch.from_numpy(mask.eligible[:, here] & ranks)
    found = eligible.to(device)[group.to(device)]
    restricted = torch.from_numpy(mask.restricted).to(device)
    if bool(restricted.any()):
        theirs, ours = (
            torch.from_numpy(words.view(np.int64)).to(device)
            for words in (np.ascontiguousarray(mask.item_words[here]), np.ascontiguousarray(mask.user_words))
        )
        shared = torch.zeros_like(found)
        for word in range(ours.shape[1]):
            shared |= (ours[:, word, None] & theirs[None, :, word]) != 0
        found &= shared | ~restricted[:, None]
    rows = np.repeat(np.arange(len(mask.group)), np.diff(mask.seen_indptr))
    held = (mask.seen_nums >= first) & (mask.seen_nums < first + n_items)
    places = (torch.from_numpy(array[held].astype(np.int64)).to(device) for array in (rows, mask.seen_nums - first))
    found[tuple(places)] = False
    return found


def _grouped(values: Tensor) -> Tensor:
    """(n_users, n_groups, _GROUP), filled up with -inf."""
    short = -values.shape[1] % _GROUP
    return torch.nn.functional.pad(values, (0, short), value=-torch.inf).view(len(values), -1, _GROUP)


def _reaching(upper: Tensor, floors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns, ascending, whose upper bound is at least the row's floor and not -inf."""
    least = torch.clamp(floors, min=torch.finfo(torch.float32).min)
    grouped = _grouped(upper)
    rows, groups = torch.nonzero(grouped.amax(dim=2) >= least[:, None], as_tuple=True)
    pairs, inner = torch.nonzero(grouped[rows, groups] >= least[rows, None], as_tuple=True)
    return rows[pairs], groups[pairs] * _GROUP + inner


def _exact(wide: Tensor, rows: Tensor, tile: Tensor, columns: Tensor) -> Tensor:
    """(n,) float64 inner products, summed as `xlrec.kernels.scan.dot` does."""
    dim = wide.shape[1]
    step, whole = max(1, _NUMBERS // max(1, dim)), dim // 8 * 8
    found = torch.empty(len(rows), dtype=torch.float64, device=wide.device)
    for low in range(0, len(rows), step):
        part = slice(low, low + step)
        terms = wide[rows[part]] * tile[columns[part]].double()
        sums = torch.zeros((len(terms), 8), dtype=torch.float64, device=wide.device)
        for start in range(0, whole, 8):
            sums = sums + terms[:, start : start + 8]
        rest = torch.zeros(len(terms), dtype=torch.float64, device=wide.device)
        for start in range(whole, dim):
            rest = rest + terms[:, start]
        while sums.shape[1] > 1:
            sums = sums[:, ::2] + sums[:, 1::2]
        found[part] = sums[:, 0] + rest
    return found


def _merged(nums: Tensor, best: Tensor, rows: Tensor, new: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """The best k of what was held and of new entries, whose numbers are higher; (score desc, item_num asc)."""
    n_users, k = nums.shape
    held = nums >= 0
    everyone = torch.arange(n_users, device=nums.device)
    all_rows = torch.cat([everyone[:, None].expand(n_users, k)[held], rows])
    all_nums, all_scores = torch.cat([nums[held], new]), torch.cat([best[held], found])
    order = torch.sort(all_scores, descending=True, stable=True).indices
    order = order[torch.sort(all_rows[order], stable=True).indices]
    all_rows, all_nums, all_scores = all_rows[order], all_nums[order], all_scores[order]
    sizes = torch.bincount(all_rows, minlength=n_users)
    places = torch.arange(len(all_rows), device=nums.device) - (torch.cumsum(sizes, 0) - sizes)[all_rows]
    kept = places < k
    nums, best = torch.full_like(nums, -1), torch.full_like(best, -torch.inf)
    nums[all_rows[kept], places[kept]] = all_nums[kept]
    best[all_rows[kept], places[kept]] = all_scores[kept]
    return nums, best
