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
from xlrec.kernels.renewal import Lists, digests, lists_of, renew, slack, taken
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
    items = prepare(vectors, norms=np.asarray(norms), item_block=item_block, path=path)
    return Searched(learnt, items, dim)


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
        self.scored = True  # while no model's scores came, which popularity and freshness move every night
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
        if len(asked) == len(queries):
            lists = self._lists(queries, mask, side)
        else:
            lists = Lists.empty(len(queries), self.width)
            lists.put(asked, self._lists(queries[asked], mask.of(asked), side))
        return lists.nums[:, : self.k], lists.scores[:, : self.k]

    def _lists(self, queries: NDArray[np.float64], mask: Mask, side: Searched) -> Lists:
        """The lists of users who all ask; what is to be kept of them is collected."""
        n = len(queries)
        self.told["users"] += n
        self.scored &= side.learnt is None
        lists, known, left = Lists.empty(n, self.width), None, np.arange(n)
        fitting, numberings = self._changes(side), [mask.seen_nums]
        if fitting is not None:
            numberings.append(fitting[1].numbers_then[mask.seen_nums])
        asked = digests(queries, mask, numberings) if self.keep or fitting else []
        if fitting is not None:
            known, proven = self._renewed(queries, mask, side, fitting, asked[1], lists)
            left = np.flatnonzero(~proven)
        if len(left):
            lists.put(left, self._searched(queries[left], mask.of(left), side, None if known is None else known[left]))
        if self.keep and n:
            self._collected.append((asked[0], lists if self.scored else lists.unscored()))
        return lists

    def _searched(
        self, queries: NDArray[np.float64], mask: Mask, side: Searched, known: NDArray[np.int32] | None
    ) -> Lists:
        """The lists of a full search; `known` items only save work."""
        engine = self.engine or search_of(self.index, side.learnt, self.config.search)
        more = {} if known is None else {"known": known}
        found = engine(
            queries, side.items, self.width, mask, zero_vectors=False, user_block=self.config.user_block, **more
        )
        self.told["pairs"] += len(queries) * self.index.n_items
        self.told["full"] += len(queries)
        return lists_of(*found, self.k)

    def save(self, folder: str) -> None:
        """Writes what was found and counted to this task's files."""
        if self.keep:
            write_part(folder, self.part, self._collected, self.width, scored=self.scored)
        write_told(folder, self.part, {"counts": self.told, "paths": sorted(self.paths)})

    def _changes(self, side: Searched) -> tuple[Kept, Changes] | None:
        if self.kept is None:
            return None
        place = None if side.learnt is None else side.learnt.place
        changes = changes_of(self.kept, self.index, place, self.config.item_block, side.items.path.name)
        return None if changes is None else (self.kept, changes)

    def _renewed(
        self,
        queries: NDArray[np.float64],
        mask: Mask,
        side: Searched,
        fitting: tuple[Kept, Changes],
        asked: NDArray[np.uint64],
        out: Lists,
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """(n, width) what was listed, and which users have their lists now, in `out`.

        Args:
            queries: (n, dim) float64, finite.
            mask: What each user may get.
            side: What is searched in.
            fitting: Lists of then, and what changed.
            asked: (n, 2) digests with seen items as they were numbered then.
            out: Gets the lists that are found.
        """
        kept, changes = fitting
        known, proven = np.full(out.nums.shape, -1, dtype=np.int32), np.zeros(len(queries), dtype=np.bool_)
        rows, lists = kept.found(asked, self.part, self.width)
        if not len(rows):
            return known, proven
        some, query = mask.of(rows), queries[rows]
        nums, scores, n_scored = taken(query, lists, changes.renumbered, changes.states, some.group, side.shards)
        bounds = lists.floors + changes.rises[some.group] + slack(query, changes.longest)
        done = renew((nums, scores), self._changed(query, some, changes, bounds), bounds, self.k)
        out.put(rows, done.lists)
        known[rows], proven[rows] = nums, done.proven
        self.told["pairs"] += n_scored
        self.told["kept"] += int(done.proven.sum())
        self.told["short"] += int((~done.proven).sum())
        return known, proven

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
