"""The search of one block of users on a device of torch.

Slices of items are multiplied in bfloat16 (float32 on a CPU), within the bound of `xlrec.kernels.search.topk`. The k-th
best lower bound is a threshold of the k-th best score. Only items whose upper bound reaches the user's threshold are
rescored, in float64 and in the one fixed order. On CUDA product, bound and mask are one compiled pass (`group_maxima`).
It writes the best upper bound of each group of items; members of groups that reach the threshold are rescored.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrec.kernels.search.device_items import DeviceItems, Piece, filled
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.paths import error_factors
from xlrec.kernels.search.topk import Users

_GROUPS: Final = 1 << 30  # maxima of one slice in memory, at most
_SCORES: Final = 1 << 27  # of one slice in memory, at most, where they are written
_PAIRS: Final = 1 << 24  # that are rescored at once; a slice that lets more through is cut in halves
_BLOCKS: Final = 4  # times k of them tell the threshold well enough
_SMALL: Final = 2048  # items of a slice that is not cut any more
_NUMBERS: Final = 1 << 24  # of vectors gathered at once for rescoring


class Scored(NamedTuple):
    """Scores of some items, by row, then in any order."""

    rows: Tensor  # (n,) int64, ascending
    nums: Tensor  # (n,) int64
    scores: Tensor  # (n,) float64


class DeviceSearch:
    """One block of users, whose queries are finite and not 0, in the order of their groups."""

    def __init__(self, users: Users, there: DeviceItems, item_block: int, *, fused: bool) -> None:
        """Copies the users to the device; slices have `item_block` items at most, `fused` takes the compiled pass."""
        self.there, self.device, self.k, self.fused = there, there.device, users.k, fused
        most = 8 * min(_GROUPS, there.room // 8) if fused else _SCORES
        self.item_block = max(1, min(item_block, most // len(users.lengths)))
        self.wide, self.lengths = self._moved(users.wide), self._moved(users.lengths)
        #: (n_users,) lower bounds of the k-th best score of unit queries.
        self.thresholds = torch.full((len(users.lengths),), -torch.inf, dtype=torch.float32, device=self.device)
        units = (self.wide / self.lengths[:, None]).float()
        dim = units.shape[1]
        self.near = filled(units, there.kind)
        apart = float((units.double() - self.near[:, :dim].double()).norm(dim=1).max())
        self.factors = error_factors(dim, 2.0**-23 if there.kind == torch.bfloat16 else 2.0**-24, apart)
        self._masked(users.mask, (there.norms >= users.smallest) & (there.norms < torch.inf))

    def best_lists(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(n_users, k) int32 item numbers padded with -1, and (n_users, k) float64 scores padded with -inf."""
        n_users = len(self.wide)
        self.nums = torch.full((n_users, self.k), -1, device=self.device)
        self.scores = torch.full((n_users, self.k), -torch.inf, dtype=torch.float64, device=self.device)
        for piece in self.there.pieces():
            for low in range(0, len(piece.vectors), self.item_block):
                self._look(piece.cut(low, min(len(piece.vectors), low + self.item_block)))
        return self.nums.int().cpu().numpy(), self.scores.cpu().numpy()

    def _moved(self, array: NDArray[Any]) -> Tensor:
        array = np.ascontiguousarray(array)
        return torch.from_numpy(array if array.flags.writeable else array.copy()).to(self.device)

    def _masked(self, mask: Mask, ranks: Tensor) -> None:
        used, group = np.unique(mask.group, return_inverse=True)
        self.group = self._moved(group.astype(np.int32))
        self.eligible = self._moved(mask.eligible[used].view(np.uint8)) * ranks
        self.words = None
        if mask.restricted.any():
            theirs, ours = self._moved(mask.user_words.view(np.int64)), self._moved(mask.item_words.view(np.int64))
            self.words = theirs, ours, self._moved(mask.restricted.view(np.uint8))
        self.seen_rows = self._moved(np.repeat(np.arange(len(mask.group)), np.diff(mask.seen_indptr)))
        self.seen_nums = self._moved(mask.seen_nums.astype(np.int64))
        self.seen_keys = self.seen_rows * self.there.items.n_items + self.seen_nums  # ascending

    def _allowed(self, rows: Tensor, nums: Tensor) -> Tensor:
        """(…) bool: whether each of some rows may get an item; rows and nums broadcast."""
        allowed = self.eligible[self.group.long()[rows], nums] != 0
        if self.words:
            theirs, ours, restricted = self.words
            shared = restricted[rows] == 0
            for word in range(theirs.shape[1]):
                shared = shared | ((theirs[rows, word] & ours[nums, word]) != 0)
            allowed &= shared
        if len(self.seen_keys):
            keys = rows * self.there.items.n_items + nums
            places = torch.searchsorted(self.seen_keys, keys).clamp_(max=len(self.seen_keys) - 1)
            allowed &= self.seen_keys[places] != keys
        return allowed

    def _look(self, piece: Piece) -> None:
        """Merges the best items of a slice into the lists."""
        error = self.factors[0] * self.there.norms[piece.first : piece.first + len(piece.vectors)]
        error = (error + self.factors[1] * piece.residuals + self.factors[2]).float()
        survivors = (self._of_groups if self.fused else self._of_items)(piece, error)
        if survivors is not None:
            self._merge(survivors)
            return
        middle = len(piece.vectors) // 2
        self._look(piece.cut(0, middle))
        self._look(piece.cut(middle, len(piece.vectors)))

    def _of_groups(self, piece: Piece, error: Tensor) -> Scored | None:
        """Items that may be among the best, by the maxima of groups; None: too many."""
        from xlrec.kernels.search.group_maxima import GROUP, ROUNDED, exact, group_maxima, members

        eligible = self.eligible, self.group, piece.first
        maxima, tops = group_maxima(self.near, piece.rounded, error, eligible, self.words)
        self._raise_by_groups(piece, error, maxima, tops)
        least = (self.thresholds - 2 * ROUNDED * self.thresholds.abs()).clamp(min=torch.finfo(torch.bfloat16).min)
        rows, blocks = torch.nonzero(tops >= least[:, None], as_tuple=True)
        hits, inner = torch.nonzero(maxima.view(len(tops), -1, GROUP)[rows, blocks] >= least[rows, None], as_tuple=True)
        rows, groups = rows[hits], blocks[hits] * GROUP + inner
        if len(rows) * GROUP > _PAIRS and len(piece.vectors) > _SMALL:
            return None
        scores, columns = exact(self.wide, piece.vectors, rows, groups), members(groups)
        reaching = scores >= (self.thresholds.double() * self.lengths)[rows, None]
        pairs, inner = torch.nonzero(reaching & (columns < len(piece.vectors)), as_tuple=True)
        rows, nums, scores = rows[pairs], columns[pairs, inner] + piece.first, scores[pairs, inner]
        kept = self._allowed(rows, nums)
        return Scored(rows[kept], nums[kept], scores[kept])

    def _raise_by_groups(self, piece: Piece, error: Tensor, maxima: Tensor, tops: Tensor) -> None:
        """Raises the thresholds by the k-th best block without seen items; by groups where blocks are few."""
        from xlrec.kernels.search.group_maxima import BLOCK, GROUP, ROUNDED, group_of

        here = (self.seen_nums >= piece.first) & (self.seen_nums < piece.first + len(piece.vectors))
        rows, columns = self.seen_rows[here], self.seen_nums[here] - piece.first
        enough = tops.shape[1] >= _BLOCKS * self.k
        values, places = (tops, columns // BLOCK) if enough else (maxima, group_of(columns))
        if values.shape[1] < self.k:
            return
        held = values[rows, places]
        values[rows, places] = -torch.inf
        best, chosen = torch.topk(values, self.k, dim=1, sorted=False)
        values[rows, places] = held
        padded_error = torch.nn.functional.pad(error.nan_to_num(nan=0.0, posinf=0.0), (0, -len(error) % BLOCK))
        most = padded_error.view(-1, GROUP, GROUP)
        errors = most.amax(dim=(1, 2)) if enough else most.amax(dim=1).flatten()
        best = best.float()
        self.thresholds = torch.maximum(self.thresholds, (best - ROUNDED * best.abs() - 2 * errors[chosen]).amin(dim=1))

    def _of_items(self, piece: Piece, error: Tensor) -> Scored | None:
        """Items that may be among the best, by all scores; None: too many."""
        score, relative = _product(self.near, piece.rounded)
        spread = score.abs() * relative + error
        nums = torch.arange(piece.first, piece.first + len(piece.vectors), device=self.device)
        allowed = self._allowed(torch.arange(len(self.wide), device=self.device)[:, None], nums[None, :])
        if len(nums) >= self.k:
            lower = torch.where(allowed, score - spread, -torch.inf)
            self.thresholds = torch.maximum(self.thresholds, lower.topk(self.k, dim=1, sorted=False).values.amin(dim=1))
        rows, columns = torch.nonzero(allowed & (score + spread >= self.thresholds[:, None]), as_tuple=True)
        if len(rows) > _PAIRS and len(nums) > _SMALL:
            return None
        return Scored(rows, nums[columns], _inner_products(self.wide, rows, piece.vectors, columns))

    def _merge(self, survivors: Scored) -> None:
        """Merges entries of higher numbers into the best k, (score desc, item_num asc), and raises the thresholds."""
        rows, nums, scores = survivors
        n_users = len(self.wide)
        sizes = torch.bincount(rows, minlength=n_users)
        most = int(sizes.max())
        if not most:
            return
        places = torch.arange(len(rows), device=self.device) - (torch.cumsum(sizes, 0) - sizes)[rows]
        beyond = self.there.items.n_items
        numbers = torch.full((n_users, most), beyond, device=self.device)
        values = torch.full((n_users, most), -torch.inf, dtype=torch.float64, device=self.device)
        numbers[rows, places], values[rows, places] = nums, scores
        numbers, order = torch.sort(numbers, dim=1)
        values = values.gather(1, order)
        values, order = torch.sort(torch.cat([self.scores, values], dim=1), dim=1, descending=True, stable=True)
        numbers = torch.cat([self.nums, numbers], dim=1).gather(1, order[:, : self.k])
        self.scores = values[:, : self.k].contiguous()
        self.nums = torch.where(self.scores > -torch.inf, numbers, -1)
        exact = (self.scores[:, -1] / self.lengths).float()
        self.thresholds = torch.maximum(self.thresholds, torch.nextafter(exact, torch.full_like(exact, -torch.inf)))


def _product(queries: Tensor, items: Tensor) -> tuple[Tensor, float]:
    """(n_users, n_items) float32 scores, and the part of a score that the product may have rounded off."""
    if queries.dtype == torch.bfloat16 and queries.is_cuda:
        return torch.mm(queries, items.T, out_dtype=torch.float32), 0.0  # no partial sum is rounded to bfloat16
    return torch.mm(queries, items.T).float(), 1.01 * 2.0**-8 if queries.dtype == torch.bfloat16 else 0.0


def _inner_products(wide: Tensor, rows: Tensor, vectors: Tensor, columns: Tensor) -> Tensor:
    """(n,) float64 inner products, summed as `exact_scores.dot_by_simd` does."""
    dim = wide.shape[1]
    step, whole = max(1, _NUMBERS // max(1, dim)), dim // 8 * 8
    products = torch.empty(len(rows), dtype=torch.float64, device=wide.device)
    for low in range(0, len(rows), step):
        part = slice(low, low + step)
        terms = wide[rows[part]] * vectors[columns[part]].double()
        sums = torch.zeros((len(terms), 8), dtype=torch.float64, device=wide.device)
        for start in range(0, whole, 8):
            sums = sums + terms[:, start : start + 8]
        rest = torch.zeros(len(terms), dtype=torch.float64, device=wide.device)
        for start in range(whole, dim):
            rest = rest + terms[:, start]
        while sums.shape[1] > 1:
            sums = sums[:, ::2] + sums[:, 1::2]
        products[part] = sums[:, 0] + rest
    return products
