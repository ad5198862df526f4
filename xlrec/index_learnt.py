"""The learnt side of an item index: what the search multiplies, written beside the texts' vectors.

`learnt.json` is the last file; without it the index has no model, and nearness of the texts stands in its place.
"""

import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.index import LEARNT, ItemIndex
from xlrec.index_files import replace, save
from xlrec.kernels.gather import gather
from xlrec.kernels.topk import Shards, norms_of
from xlrec.recommenders import factors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_DONE: Final = "shard int"


class Learnt:
    """One model's vectors of an index's items, memory-mapped and row-aligned by item_num."""

    def __init__(self, index: ItemIndex, place: int, folder: str, fingerprint: str) -> None:
        """Loads the model; arrays load on first use."""
        self.index, self.place, self.model = index, place, factors.load(folder)
        if self.model.fingerprint != fingerprint:
            raise LakeError(f"model {folder} is not the one that {index.folder} was made with: train again")

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.model.dim

    @cached_property
    def outputs(self) -> Shards:
        """(first item_num, (rows, dim) float32): the items as what is recommended."""
        return self._sharded("outputs")

    @cached_property
    def inputs(self) -> Shards:
        """(first item_num, (rows, dim) float32): the items as history."""
        return self._sharded("inputs")

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(n_items,) norms of the outputs."""
        return np.concatenate([np.zeros(0), *(rows for _, rows in self._sharded("norms"))])

    def gather(self, item_nums: NDArray[np.integer[Any]], *, history: bool) -> NDArray[np.float32]:
        """(n, dim) some items, as history or as what is recommended; a copy."""
        return gather(self.inputs if history else self.outputs, item_nums, self.dim)

    def _sharded(self, name: str) -> list[tuple[int, NDArray[Any]]]:
        return self.index.sharded(_array(self.place, name))


class Models:
    """The models of an index: the first serves every market that has none of its own."""

    def __init__(self, index: ItemIndex) -> None:
        """Reads `learnt.json` and loads the models.

        Raises:
            LakeError: it is of another version.
        """
        told = json.loads((index.folder / LEARNT).read_text("utf-8")).get("models")
        if told is None:
            raise LakeError(f"the model in {index.folder} was laid by another version: run `xlrec train` again")
        self.index = index
        self.each = tuple(Learnt(index, place, one["model"], one["fingerprint"]) for place, one in enumerate(told))
        self.places = np.zeros(len(index.markets), dtype=np.int64)
        """(n_markets,) which of `each` serves the market, by `index.market_num`."""
        for place, one in enumerate(told[1:], start=1):
            self.places[index.market_num(one["market"])] = place

    def of(self, market: str | None) -> Learnt:
        """What serves a market."""
        return self.each[int(self.places[self.index.market_num(market)])]


def places_of(models: Models | None, markets: list[str | None]) -> NDArray[np.int64]:
    """(n,) which of `models.each` serves each market; 0 without models."""
    if models is None:
        return np.zeros(len(markets), dtype=np.int64)
    nums = {market: models.index.market_num(market) for market in set(markets)}
    return models.places[[nums[market] for market in markets]]


def _array(place: int, name: str) -> str:
    return f"learnt-{place:03d}-{name}"


def models_of(index: ItemIndex) -> Models | None:
    """The learnt side, the same object for all callers with this index; None where no model was written."""
    return _models_of(index) if (index.folder / LEARNT).exists() else None


@lru_cache(maxsize=4)
def _models_of(index: ItemIndex) -> Models:
    return Models(index)


def write_learnt(folder: str, models: dict[str | None, str], first_micros: "DataFrame") -> None:
    """Writes the vectors of all items by each model, with Spark, a task per shard.

    Args:
        folder: A finished index.
        models: Folder of the model that serves each market, and under None of that which serves all others; seen by
            driver and workers under this path.
        first_micros: item_num, first_micros (double; null where nobody knows): a row per item.

    Raises:
        LakeError: the rows are not one per item, or a model is of another encoder's dimension.
    """
    from pyspark.sql import functions as F

    index, told = ItemIndex.open(folder), _told(models)
    folders = [one["model"] for one in told]
    shard = F.floor(F.col("item_num") / F.lit(index.shard_rows)).cast("int").alias("shard")

    def written(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        table = table.sort_by("item_num")
        micros = table["first_micros"].to_numpy().astype(np.float64)
        for place, one in enumerate(folders):
            write_shard(folder, one, key[0].as_py(), micros, place)
        return pa.table({"shard": pa.array([key[0].as_py()], pa.int32())})

    n_shards = -(-index.n_items // index.shard_rows)
    done = first_micros.groupBy(shard).applyInArrow(written, _DONE).count()
    if done != n_shards:
        raise LakeError(f"learnt vectors fill {done} shards, not the {n_shards} of the index: prepare again")
    finish(folder, models)


def finish(folder: str, models: dict[str | None, str]) -> None:
    """Writes `learnt.json`: from here on the index has its models."""
    whole = json.dumps({"models": _told(models)}, ensure_ascii=False).encode()
    replace(Path(folder) / LEARNT, lambda file: file.write(whole))


def _told(models: dict[str | None, str]) -> list[dict[str, Any]]:
    """The model of all markets first, then those of single ones, by name."""
    names = [None, *sorted(name for name in models if name is not None)]
    return [
        {"market": name, "model": models[name], "fingerprint": factors.facts_of(models[name])["fingerprint"]}
        for name in names
    ]


def write_shard(folder: str, model_folder: str, shard: int, first_micros: NDArray[np.float64], place: int = 0) -> None:
    """Writes one model's vectors of one shard.

    Args:
        folder: A finished index.
        model_folder: The model.
        shard: Number of the shard.
        first_micros: (rows,) first moment of each of its items, NaN where nobody knows.
        place: Of the model among the index's.

    Raises:
        LakeError: sizes do not fit.
    """
    index, model = ItemIndex.open(folder), factors.load(model_folder)
    first, texts = index.shards[shard]
    if len(first_micros) != len(texts) or texts.shape[1] != model.facts["text_dim"]:
        raise LakeError(
            f"model {model_folder} takes vectors of {model.facts['text_dim']} numbers, and shard {shard} has "
            f"{len(texts)} of {texts.shape[1]}, with {len(first_micros)} ages: train with this encoder"
        )
    nums = slice(first, first + len(texts))
    found = model.factors(np.asarray(texts), model.taught(index.item_ids.slice(first, len(texts))))
    outputs = model.outputs(found, model.exposure(first_micros, index.eligible_rows[:, nums], index.markets))
    made = {"outputs": outputs, "norms": norms_of([(first, outputs)]), "inputs": model.inputs(found)}
    for name, array in made.items():
        save(index.folder / f"{_array(place, name)}-{shard:05d}.npy", np.ascontiguousarray(array))
