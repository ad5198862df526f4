"""What changed between the items of two nights, as far as a search sees it."""

import json
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.index import LEARNT, ItemIndex
from xlrec.index_learnt import models_of
from xlrec.kernels.gather import gather
from xlrec.kernels.items import Items, prepare
from xlrec.kernels.renewal import MOVED, SAME, best_rise
from xlrec.kernels.topk import Shards
from xlrec.searches.files import Kept

#: With a larger part of a full search expected, everything is searched for.
WORTH: Final = 0.5
_SHARES: Final = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
_MOST: Final = 1 << 29  # markets times items whose rises are looked at; the vectors of as many items are copied at most


class Changed(NamedTuple):
    """Items that are searched for every user of a market."""

    nums: NDArray[np.int32]
    """(n_changed,) item_nums, ascending."""
    items: Items
    """Their vectors."""


class Changes(NamedTuple):
    """Of one model's items, or the texts', against those of an earlier index."""

    renumbered: NDArray[np.int32]
    """(n_old_items,) tonight's item_num of each item of then; -1 where it is gone."""
    numbers_then: NDArray[np.int32]
    """(n_items,) the item_num of then; -1 where the item is new."""
    states: NDArray[np.uint8]
    """(n_markets, n_items) what a listed item is tonight, `OUT`, `MOVED` or `SAME` as `xlrec.kernels.renewal.taken` has
    it; `OUT` is what a market may not get, or what is searched for every user of it."""
    rises: NDArray[np.float64]
    """(n_markets,) how much the score of any item that is not searched rose at most."""
    markets: tuple[Changed, ...]
    """What changed in each market."""
    longest: float
    """Largest norm of an item."""


def comparable(old: ItemIndex, new: ItemIndex) -> bool:
    """Whether vectors mean the same in both: same markets, languages, dimension and models."""
    same = (old.markets, old.languages, old.dim) == (new.markets, new.languages, new.dim)
    return same and _fingerprints(old) == _fingerprints(new)


def _fingerprints(index: ItemIndex) -> list[tuple[str | None, str]]:
    path = index.folder / LEARNT
    told = json.loads(path.read_text("utf-8"))["models"] if path.exists() else []
    return [(one["market"], one["fingerprint"]) for one in told]


@lru_cache(maxsize=8)
def changes_of(
    kept: Kept, new: ItemIndex, place: int | None, item_block: int, path: str | None = None
) -> Changes | None:
    """The changes; None where so much changed that a full search costs no more.

    Args:
        kept: Lists of an earlier index that is `comparable` with tonight's.
        new: Tonight's index.
        place: Of the model; None: the texts' vectors.
        item_block: Items per matrix product.
        path: By which what changed is searched, as of `prepare`.
    """
    if len(new.markets) * new.n_items > _MOST:
        return None
    old = ItemIndex.open(kept.index)
    then, now = _numbers(old.item_ids, new.item_ids)
    before, after, markets, norms = _vectors(old, new, place)
    n_markets = len(new.markets)
    same = then >= 0
    rises = np.zeros((n_markets if markets else 1, new.n_items), dtype=np.float64)
    own = np.ones(after[0][1].shape[1] if after else 0, dtype=np.bool_)
    own[markets] = False
    for first, vectors in after:
        rows = slice(first, first + len(vectors))
        was = gather(before, then[rows], len(own))  # -1 lies in no shard
        same[rows] &= (was[:, own] == vectors[:, own]).all(axis=1)
        if markets:
            rises[:, rows] = (vectors[:, markets].astype(np.float64) - was[:, markets]).T
    bits = np.asarray(old.language_bits)[np.maximum(then, 0)] if old.n_items else np.asarray(new.language_bits)
    same &= (bits == np.asarray(new.language_bits)).all(axis=1)
    changed = np.zeros((n_markets, new.n_items), dtype=np.bool_)
    states = np.zeros(changed.shape, dtype=np.uint8)
    highest, costs = np.zeros(n_markets), np.zeros(n_markets)
    for num in range(n_markets):
        eligible = np.asarray(new.eligible_rows[num]) & (norms > 0) & (norms < np.inf)
        known = same & eligible & (then >= 0) & np.asarray(old.eligible_rows[num])[np.maximum(then, 0)]
        rise = rises[num if markets else 0]
        highest[num], costs[num] = best_rise(rise[known], kept.margins, _SHARES)
        stays = known & (rise <= highest[num])
        changed[num], states[num] = eligible & ~stays, np.where((rise == 0) & kept.scored, SAME, MOVED) * stays
    if (costs > WORTH).all() or changed.sum() > new.n_items:
        return None
    found = []
    for row in changed:
        nums = np.flatnonzero(row).astype(np.int32)
        items = prepare([(0, gather(after, nums, len(own)))], norms=norms[nums], item_block=item_block, path=path)
        found.append(Changed(nums, items))
    longest = float(np.max(norms, where=np.isfinite(norms), initial=0.0))
    return Changes(now, then, states, highest, tuple(found), longest)


def _vectors(
    old: ItemIndex, new: ItemIndex, place: int | None
) -> tuple[Shards, Shards, list[int], NDArray[np.float64]]:
    """Vectors of both nights, the columns that hold what a market alone adds, and tonight's norms."""
    if place is None:
        return old.shards, new.shards, [], np.asarray(new.norms)
    models: Any = (models_of(old), models_of(new))
    before, after = (one.each[place] for one in models)
    return before.outputs, after.outputs, [], np.asarray(after.norms)


def _numbers(old: pa.StringArray, new: pa.StringArray) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(n_new,) each item's number of then, (n_old,) each item's number tonight; -1 where it was not, or is not."""
    if old.equals(new):
        everyone = np.arange(len(new), dtype=np.int32)
        return everyone, everyone
    then: Any = pc.index_in(new, value_set=old).fill_null(-1)
    then = then.to_numpy(zero_copy_only=False).astype(np.int32)
    now = np.full(len(old), -1, dtype=np.int32)
    known = np.flatnonzero(then >= 0)
    now[then[known]] = known
    return then, now
