"""For CUDA: one compiled pass multiplies, bounds and masks, and keeps the best of every eight items; another rescores.

Of the scores an eighth is written to memory, in bfloat16. Compiled by Triton, which comes with torch for CUDA;
`xlrec.kernels.search.torch_search` finds the same without it.
"""

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

GROUP: Final = 8  # items of a group: of 64 that follow each other, those whose numbers are alike modulo 8
BLOCK: Final = 64
ROUNDED: Final = 2.0**-8  # a maximum is off by no more than this part of it
_TILE: Final = {"USERS": 128, "ITEMS": 128, "DEPTH": 64, "num_warps": 4, "num_stages": 3}
_PAIRS: Final = 1  # of a program that rescores
_EACH: Final = 2  # programs of a multiprocessor


@triton.jit(do_not_specialize=["n_users", "n_items", "first"])
def _maxima(  # type: ignore[no-untyped-def]
    queries, items, errors, group, eligible, users, words, restricted, found, tops,
    n_users, n_items, first, n_eligible, n_groups,
    WIDTH: tl.constexpr, N_WORDS: tl.constexpr, USERS: tl.constexpr, ITEMS: tl.constexpr, DEPTH: tl.constexpr,
    PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Fills found (n_users, n_groups) with the highest upper bound of a group's items, tops with that of a block's.

    -inf where none is allowed.
    """
    n_down = tl.cdiv(n_users, USERS)
    for tile in tl.range(tl.program_id(0), n_down * tl.cdiv(n_items, ITEMS), PROGRAMS, flatten=True):
        row, column = tile % n_down * USERS, tile // n_down * ITEMS
        sums = tl.zeros((USERS, ITEMS), tl.float32)
        for start in range(0, WIDTH, DEPTH):
            sums = tl.dot(queries.load([row, start]), items.load([column, start]).T, sums)
        rows = tl.minimum(row + tl.arange(0, USERS), n_users - 1)
        columns = column + tl.arange(0, ITEMS)
        near = tl.minimum(columns, n_items - 1).to(tl.int64)
        upper = sums + tl.load(errors + near)[None, :]
        groups = tl.load(group + rows)
        for one in range(tl.load(group + row), tl.load(group + tl.minimum(row + USERS, n_users) - 1) + 1):
            barred = tl.load(eligible + one * n_eligible + first + near) == 0
            upper = tl.where((groups == one)[:, None] & barred[None, :], float("-inf"), upper)
        if N_WORDS > 0:
            shared = tl.broadcast_to((tl.load(restricted + rows) == 0)[:, None], (USERS, ITEMS))
            for word in range(N_WORDS):
                theirs = tl.load(users + rows * N_WORDS + word)
                ours = tl.load(words + (first + near) * N_WORDS + word)
                shared |= (theirs[:, None] & ours[None, :]) != 0
            upper = tl.where(shared, upper, float("-inf"))
        upper = tl.where((columns < n_items)[None, :] & (upper == upper), upper, float("-inf"))
        best = tl.max(tl.reshape(upper, (USERS, ITEMS // 64, 8, 8)), 2)
        rows = row + tl.arange(0, USERS)
        inside, starts = (rows < n_users)[:, None], rows[:, None].to(tl.int64)
        blocks, places = column // 64 + tl.arange(0, ITEMS // 64), column // 8 + tl.arange(0, ITEMS // 8)
        most = tl.max(best, 2).to(tl.bfloat16)
        best = tl.reshape(best, (USERS, ITEMS // 8)).to(tl.bfloat16)
        tl.store(
            tops + starts * (n_groups // 8) + blocks[None, :], most, mask=inside & (blocks < n_groups // 8)[None, :]
        )
        tl.store(found + starts * n_groups + places[None, :], best, mask=inside & (places < n_groups)[None, :])


@triton.jit(do_not_specialize=["n_pairs", "n_items"])
def _exact(  # type: ignore[no-untyped-def]
    queries, items, rows, groups, found, n_pairs, n_items,
    DIM: tl.constexpr, WHOLE: tl.constexpr, PAIRS: tl.constexpr,
):  # fmt: skip
    """Fills found (n_pairs, 8) with float64 inner products of a row and each item of its group."""
    places = tl.program_id(0) * (PAIRS * 8) + tl.arange(0, PAIRS * 8)
    pairs = tl.minimum(places // 8, n_pairs - 1)
    row, group = tl.load(rows + pairs), tl.load(groups + pairs)
    column = tl.minimum(group // 8 * 64 + places % 8 * 8 + group % 8, n_items - 1)
    left, right = queries + row * DIM, items + column * DIM
    lanes = tl.arange(0, 8)
    sums = tl.zeros((PAIRS * 8, 8), tl.float64)
    for start in range(0, WHOLE // 32 * 32, 32):
        for step in tl.static_range(4):
            here = start + step * 8 + lanes[None, :]
            sums += tl.load(left[:, None] + here) * tl.load(right[:, None] + here).to(tl.float64)
    for start in range(WHOLE // 32 * 32, WHOLE, 8):
        here = start + lanes[None, :]
        sums += tl.load(left[:, None] + here) * tl.load(right[:, None] + here).to(tl.float64)
    rest = tl.zeros((PAIRS * 8,), tl.float64)
    for start in range(WHOLE, DIM):
        rest += tl.load(left + start) * tl.load(right + start).to(tl.float64)
    fours = tl.sum(tl.reshape(sums, (PAIRS * 8, 4, 2)), 2)
    twos = tl.sum(tl.reshape(fours, (PAIRS * 8, 2, 2)), 2)
    tl.store(found + places, tl.sum(twos, 1) + rest, mask=places < n_pairs * 8)


def group_maxima(
    queries: Tensor,
    items: Tensor,
    errors: Tensor,
    eligible: tuple[Tensor, Tensor, int],
    words: tuple[Tensor, Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """Highest upper bounds of allowed items, bfloat16: (n_users, n_groups) of groups, (n_users, n_blocks) of blocks.

    Eight groups make a block. -inf where no item is allowed.

    Args:
        queries: (n_users, width) bfloat16; width a multiple of 64.
        items: (n_items, width) bfloat16.
        errors: (n_items,) float32: a score is at most this above its product. NaN: the item never ranks.
        eligible: (n_groups, any) uint8, (n_users,) int32 row of it, ascending, and the first item's column.
        words: (n_users, n_words) int64, (any, n_words) int64, (n_users,) uint8 of `Mask`; None: nobody is restricted.
    """
    n_users, n_items = len(queries), len(items)
    allowed, group, first = eligible
    n_groups = triton.cdiv(n_items, BLOCK) * GROUP
    found = torch.empty((n_users, n_groups), dtype=torch.bfloat16, device=queries.device)
    tops = torch.empty((n_users, n_groups // GROUP), dtype=torch.bfloat16, device=queries.device)
    theirs, ours, restricted = words or (group, group, group)
    programs = triton.cdiv(n_users, _TILE["USERS"]) * triton.cdiv(n_items, _TILE["ITEMS"])
    if queries.is_cuda:
        programs = min(programs, _EACH * torch.cuda.get_device_properties(queries.device).multi_processor_count)
    _maxima[(programs,)](
        TensorDescriptor.from_tensor(queries, [_TILE["USERS"], _TILE["DEPTH"]]),
        TensorDescriptor.from_tensor(items, [_TILE["ITEMS"], _TILE["DEPTH"]]),
        errors, group, allowed, theirs, ours, restricted, found, tops,
        n_users, n_items, first, allowed.shape[1], n_groups,
        WIDTH=queries.shape[1], N_WORDS=ours.shape[1] if words else 0, PROGRAMS=programs, **_TILE,
    )  # fmt: skip
    return found, tops


def members(groups: Tensor) -> Tensor:
    """(n, 8) int64 numbers of the items of these (n,) int64 groups; they may lie beyond the last item."""
    inner = torch.arange(GROUP, device=groups.device) * GROUP
    return (groups // GROUP * BLOCK + groups % GROUP)[:, None] + inner


def group_of(columns: Tensor) -> Tensor:
    """(n,) int64 group of each item, of (n,) int64 columns."""
    return columns // BLOCK * GROUP + columns % GROUP


def exact(queries: Tensor, items: Tensor, rows: Tensor, groups: Tensor) -> Tensor:
    """(n_pairs, 8) float64 inner products of each row's query and its group's items, in the order of exact scores.

    `queries` (n_users, dim) are float64, `items` (n_items, dim) float32, `rows` and `groups` (n_pairs,) int64. Products
    of items beyond the last one mean nothing.
    """
    found = torch.empty((len(rows), GROUP), dtype=torch.float64, device=queries.device)
    dim = queries.shape[1]
    _exact[(triton.cdiv(len(rows), _PAIRS),)](
        queries, items, rows, groups, found, len(rows), len(items),
        DIM=dim, WHOLE=dim // 8 * 8, PAIRS=_PAIRS, num_warps=1, enable_fp_fusion=False,
    )  # fmt: skip
    return found
