"""The search of a block of users: in full, or by bringing last night's lists up to date; the same result either way."""

from collections import Counter
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config import RetrieveConfig
from xlrec.errors import MachineError
from xlrec.index import META, ItemIndex
from xlrec.index_ivf import TopK, search_of
from xlrec.index_learnt import Learnt
from xlrec.kernels.mask import Mask
from xlrec.kernels.renewal import Lists, digests, lists_of, renew, rescored, slack
from xlrec.kernels.topk import Items, Shards, prepare, top_k
from xlrec.searches.changes import Changes, changes_of, comparable
from xlrec.searches.files import Kept, whole, write_part, write_told

Found = tuple[NDArray[np.int32], NDArray[np.float64]]


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
    return Searched(learnt, prepare(vectors, norms=np.asarray(norms), item_block=item_block, path=path), dim)


class Search:
    """Finds the best items of users' queries on one index, and keeps what it proved."""

    def __init__(
        self,
        index: ItemIndex,
        config: RetrieveConfig,
        *,
        old: str | None = None,
        keep: bool = False,
        part: int = 0,
        engine: TopK | None = None,
        device: str = "cpu",
    ) -> None:
        """Searches in full where no lists are kept, or none that fit.

        Args:
            index: Tonight's.
            config: Candidates, spare and blocks are used.
            old: Folder of an earlier night's lists.
            keep: Collect what is found, for `save`.
            part: Number of the task.
            engine: Searches in full; None: as the config says. What an approximate one finds proves nothing, and is
                not kept.
            device: Of torch: where an exact search multiplies. A GPU searches in full, keeping nothing: that takes less
                time than bringing lists up to date.

        Raises:
            MachineError: The device is a GPU, and this worker's torch sees none.
        """
        self.index, self.config, self.part, self.k, self.engine = index, config, part, config.candidates, engine
        self.device = device if engine is None and config.search == "exact" else "cpu"
        if self.device != "cpu":
            self.engine = _on_device(device)
        keep, old = (keep, old) if config.search == "exact" and self.device == "cpu" else (False, None)
        self.keep = keep
        self.width = self.k + config.incremental.spare if keep or old else self.k
        self.kept = _fitting(old, index) if old else None
        self.told: Counter[str] = Counter()
        self.paths: set[str] = set()
        self._collected: list[tuple[NDArray[np.uint64], Lists]] = []

    def best(self, queries: NDArray[np.float64], mask: Mask, side: Searched) -> Found:
        """(n, candidates) item_nums and float64 scores, as `top_k` gives them.

        Args:
            queries: (n, side.dim) float64; NaN where nothing is asked.
            mask: What each user may get.
            side: What is searched in.
        """
        self.paths.add(side.items.path.name if self.device == "cpu" else f"bfloat16 on {self.device.split(':')[0]}")
        asked = np.flatnonzero(np.isfinite(queries).all(axis=1))
        self.told["users"] += len(asked)
        ids = np.full((len(queries), self.width), -1, dtype=np.int32)
        scores = np.full((len(queries), self.width), -np.inf)
        floors, margins = np.full(len(queries), np.inf), np.zeros(len(queries))
        left, known = asked, None
        fitting = self._changes(side)
        if fitting is not None:
            known = np.full((len(queries), self.width), -1, dtype=np.int32)
            proven = self._renewed(queries, mask, side, fitting, asked, (ids, scores, floors, margins), known)
            left = asked[~proven]
            known = known[left]
        if len(left):
            engine = self.engine or search_of(self.index, side.learnt, self.config.search)
            more = {} if known is None else {"known": known}
            found = engine(
                queries[left], side.items, self.width, mask.of(left), zero_vectors=False,
                user_block=self.config.user_block, **more,
            )  # fmt: skip
            lists = lists_of(*found, self.k)
            ids[left], scores[left] = found
            floors[left], margins[left] = lists.floors, lists.margins
            self.told["pairs"] += len(left) * self.index.n_items
        self.told["full"] += len(left)
        if self.keep and len(asked):
            self._collected.append(
                (digests(queries[asked], mask.of(asked)), Lists(ids[asked], floors[asked], margins[asked]))
            )
        return ids[:, : self.k], scores[:, : self.k]

    def save(self, folder: str) -> None:
        """Writes what was found and counted to this task's files."""
        if self.keep:
            write_part(folder, self.part, self._collected, self.width)
        write_told(folder, self.part, {"counts": self.told, "paths": sorted(self.paths)})

    def _changes(self, side: Searched) -> tuple[Kept, Changes] | None:
        if self.kept is None:
            return None
        place = None if side.learnt is None else side.learnt.place
        changes = changes_of(self.kept, self.index, place, self.config.item_block)
        return None if changes is None else (self.kept, changes)

    def _renewed(
        self,
        queries: NDArray[np.float64],
        mask: Mask,
        side: Searched,
        fitting: tuple[Kept, Changes],
        asked: NDArray[np.int64],
        out: tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
        known: NDArray[np.int32],
    ) -> NDArray[np.bool_]:
        """Which of the asked have their lists now, written to `out`; what else was listed goes to `known`."""
        kept, changes = fitting
        some = mask.of(asked)
        then = some._replace(seen_nums=changes.numbers_then[some.seen_nums])
        here, lists = kept.found(digests(queries[asked], some, then), self.part, self.width)
        rows = asked[here]
        if not len(rows):
            return here
        some, query = some.of(np.flatnonzero(here)), queries[rows]
        nums = np.where(lists.nums[here] >= 0, changes.renumbered[lists.nums[here]], -1).astype(np.int32)
        known[rows] = nums
        old = nums, rescored(query, nums, changes.changed, side.items.norms, some, side.shards)
        bounds = lists.floors[here] + changes.rises[some.group] + slack(query, changes.longest)
        new = self._changed(query, some, changes, bounds)
        done = renew(old, new, bounds, self.k)
        ids, scores, floors, margins = out
        ids[rows], scores[rows] = done.lists.nums, done.scores
        floors[rows], margins[rows] = done.lists.floors, done.lists.margins
        self.told["pairs"] += len(rows) * self.width
        self.told["kept"] += int(done.proven.sum())
        self.told["short"] += int((~done.proven).sum())
        here[here] = done.proven
        return here

    def _changed(
        self, queries: NDArray[np.float64], mask: Mask, changes: Changes, bounds: NDArray[np.float64]
    ) -> Found:
        """(n, width) the best of what changed in each user's market, above the bounds."""
        ids = np.full((len(queries), self.width), -1, dtype=np.int32)
        scores = np.full((len(queries), self.width), -np.inf)
        for group in np.unique(mask.group):
            nums, items = changes.markets[group]
            rows = np.flatnonzero(mask.group == group)
            if not len(nums):
                continue
            found, scores[rows] = top_k(
                queries[rows], items, self.width, _among(mask.of(rows), nums), zero_vectors=False,
                user_block=self.config.user_block, floors=bounds[rows],
            )  # fmt: skip
            ids[rows] = np.where(found >= 0, nums[found], -1)
            self.told["pairs"] += len(rows) * len(nums)
        return ids, scores


def _among(mask: Mask, nums: NDArray[np.int32]) -> Mask:
    """The mask of users of one market on some items, all of which are eligible there, by their place in `nums`."""
    everywhere = np.ones((1, len(nums)), dtype=np.bool_)
    return mask.among(nums)._replace(eligible=everywhere, group=np.zeros_like(mask.group))


def _on_device(device: str) -> TopK:
    """The exact search on a device of torch."""
    import torch

    from xlrec.kernels.topk_torch import top_k_torch

    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise MachineError(
            f"retrieve.device is {device}, but torch sees no GPU on this worker: mend its driver, or set it to cpu"
        )
    return partial(top_k_torch, device=device)


def _fitting(folder: str, index: ItemIndex) -> Kept | None:
    """The kept lists where they and their index are whole, and mean the same tonight."""
    kept = whole(folder)
    if kept is None or not (Path(kept.index) / META).exists():
        return None
    return kept if comparable(ItemIndex.open(kept.index), index) else None
