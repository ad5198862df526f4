"""Learnt vectors of an item index, written beside the texts' vectors.

`learnt.json` is the last file; without it the index has no model, and nearness of the texts stands in its place.
"""

import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from xlrec.errors import LakeError
from xlrec.index.items import LEARNT, ItemIndex
from xlrec.kernels.base.gather import gather_rows
from xlrec.kernels.search.topk import Shards, norms_of
from xlrec.recommenders.factors import FactorModel
from xlrec.runtime.arrays import replace_file, save_array


class LearntVectors:
    """One model's vectors of an index's items, memory-mapped and row-aligned by item_num."""

    def __init__(self, index: ItemIndex, place: int, fingerprint: str, dim: int) -> None:
        """`place` is that of the model among the index's, `dim` the numbers of a vector."""
        self.index, self.place, self.fingerprint, self.dim = index, place, fingerprint, dim

    @cached_property
    def outputs(self) -> Shards:
        """(first item_num, (rows, dim) float32): vectors of the items as recommendations."""
        return self._sharded("outputs")

    @cached_property
    def inputs(self) -> Shards:
        """(first item_num, (rows, dim) float32): vectors of the items as history."""
        return self._sharded("inputs")

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(n_items,) float64 norms of the outputs."""
        return np.concatenate([np.zeros(0), *(rows for _, rows in self._sharded("norms"))])

    def gather(self, item_nums: NDArray[np.integer[Any]], *, history: bool) -> NDArray[np.float32]:
        """(n, dim) float32 vectors of (n,) integer item_nums, a copy; `history`: as history, else as recommended."""
        return gather_rows(self.inputs if history else self.outputs, item_nums, self.dim)

    def _sharded(self, name: str) -> list[tuple[int, NDArray[Any]]]:
        return self.index.load_shards(_array(self.place, name))


class LearntModels:
    """The models of an index: the first serves every market that has none of its own."""

    def __init__(self, index: ItemIndex) -> None:
        """Reads `learnt.json`.

        Raises:
            LakeError: it is of another version.
        """
        entries = json.loads((index.folder / LEARNT).read_text("utf-8")).get("models")
        if entries is None or any("dim" not in entry for entry in entries):
            raise LakeError(f"the model in {index.folder} was written by another version: run `xlrec train` again")
        self.index = index
        self.each = tuple(
            LearntVectors(index, place, entry["fingerprint"], entry["dim"]) for place, entry in enumerate(entries)
        )
        self.places = np.zeros(len(index.markets), dtype=np.int64)
        """(n_markets,) int64 place in `each` of the model that serves each market."""
        for place, entry in enumerate(entries[1:], start=1):
            self.places[index.market_num(entry["market"])] = place


def places_of(models: LearntModels | None, markets: list[str | None]) -> NDArray[np.int64]:
    """(n,) int64 place in `models.each` of the model that serves each market; 0 without models."""
    if models is None:
        return np.zeros(len(markets), dtype=np.int64)
    nums = {market: models.index.market_num(market) for market in set(markets)}
    return models.places[[nums[market] for market in markets]]


def _array(place: int, name: str) -> str:
    return f"learnt-{place:03d}-{name}"


def models_of(index: ItemIndex) -> LearntModels | None:
    """The models of an index, the same object for all callers; None where no model was written."""
    return _models_of(index) if (index.folder / LEARNT).exists() else None


@lru_cache(maxsize=4)
def _models_of(index: ItemIndex) -> LearntModels:
    return LearntModels(index)


def write_learnt(folder: str, models: Mapping[str | None, FactorModel], first_micros: NDArray[np.float64]) -> None:
    """Writes the vectors of all items by each model, a shard after the other: from here on the index has its models.

    `models` has those of markets with their own, and under None that of all others. `first_micros` is the
    (n_items,) float64 first moment of each item in microseconds, NaN where unknown.

    Raises:
        LakeError: a model is of another encoder's dimension.
    """
    index, entries = ItemIndex.open_folder(folder), []
    for place, market in enumerate([None, *sorted(name for name in models if name is not None)]):
        model = models[market]
        for shard, (first, texts) in enumerate(index.shards):
            with threadpool_limits(1):  # how BLAS cuts its work would change the last bits
                arrays = _shard(index, first, np.asarray(texts), model, first_micros[first : first + len(texts)])
            for name, array in arrays.items():
                save_array(index.folder / f"{_array(place, name)}-{shard:05d}.npy", np.ascontiguousarray(array))
        entries.append({"market": market, "fingerprint": model.fingerprint, "dim": model.dim})
    whole = json.dumps({"models": entries}, ensure_ascii=False).encode()
    replace_file(index.folder / LEARNT, lambda file: file.write(whole))


def _shard(
    index: ItemIndex, first: int, texts: NDArray[np.float32], model: FactorModel, first_micros: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """One model's vectors of one shard."""
    if len(first_micros) != len(texts) or texts.shape[1] != model.facts["text_dim"]:
        raise LakeError(
            f"the model takes vectors of {model.facts['text_dim']} numbers, and items from {first} on have "
            f"{len(texts)} of {texts.shape[1]}, with {len(first_micros)} ages: train with this encoder"
        )
    nums = slice(first, first + len(texts))
    found = model.item_factors(texts, model.factor_rows(index.item_ids.slice(first, len(texts))))
    outputs = model.candidate_vectors(
        found, model.item_exposure(first_micros, index.eligible_rows[:, nums], index.markets)
    )
    return {"outputs": outputs, "norms": norms_of([(first, outputs)]), "inputs": model.history_vectors(found)}
