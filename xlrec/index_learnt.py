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
from xlrec.index import LEARNT, ItemIndex, language_matrix
from xlrec.index_files import replace, save
from xlrec.kernels.gather import gather
from xlrec.kernels.topk import Shards, norms_of
from xlrec.recommenders import hybrid

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_DONE: Final = "shard int"


class Learnt:
    """One model's vectors of an index's items, memory-mapped and row-aligned by item_num."""

    def __init__(self, index: ItemIndex, place: int, folder: str, fingerprint: str) -> None:
        """Loads the model; arrays load on first use."""
        self.index, self.place, self.model = index, place, hybrid.load(folder)
        if self.model.fingerprint != fingerprint:
            raise LakeError(f"model {folder} is not the one that {index.folder} was made with: train again")

    @property
    def dim(self) -> int:
        """Numbers of the outputs: the learnt part, then one per market and per language."""
        return self.model.dim + len(self.index.markets) + len(self.index.languages)

    @cached_property
    def outputs(self) -> Shards:
        """(first item_num, (rows, dim) float32): the items as what is recommended."""
        return self._sharded("outputs")

    @cached_property
    def inputs(self) -> Shards:
        """(first item_num, (rows, model.dim + 1) float32): the items as history; the last column is the gate."""
        return self._sharded("inputs")

    @cached_property
    def gates(self) -> NDArray[np.float64]:
        """(n_items,) logit of each item in the attention."""
        return _joined([vectors[:, -1].astype(np.float64) for _, vectors in self.inputs], np.float64)

    @cached_property
    def taught(self) -> NDArray[np.bool_]:
        """(n_items,) whether the model was taught the item: somebody chose it."""
        return _joined([rows for _, rows in self._sharded("taught")], np.bool_)

    @cached_property
    def fresh(self) -> NDArray[np.float32]:
        """(n_items,) float32 of `hybrid.freshness` on the index's day."""
        return _joined([rows for _, rows in self._sharded("fresh")], np.float32)

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(n_items,) norms of the outputs."""
        return _joined([rows for _, rows in self._sharded("norms")], np.float64)

    def gather(self, item_nums: NDArray[np.integer[Any]], *, history: bool) -> NDArray[np.float32]:
        """(n, model.dim) learnt part of some items, as history or as what is recommended; a copy."""
        shards = self.inputs if history else self.outputs
        return gather(shards, item_nums, self.model.dim)

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


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=kind), *parts])


def models_of(index: ItemIndex) -> Models | None:
    """The learnt side, the same object for all callers with this index; None where no model was written."""
    return _models_of(index) if (index.folder / LEARNT).exists() else None


@lru_cache(maxsize=4)
def _models_of(index: ItemIndex) -> Models:
    return Models(index)


def write_learnt(folder: str, model_folder: str, first_micros: "DataFrame", now_micros: float) -> None:
    """Writes the vectors of all items, by the model and by those of single markets, with Spark, a task per shard.

    Args:
        folder: A finished index.
        model_folder: Of `hybrid.save_all`, seen by driver and workers under this path.
        first_micros: item_num, first_micros (double; null where nobody knows): a row per item.
        now_micros: Moment of which freshness is told.

    Raises:
        LakeError: the rows are not one per item, or the model is of another encoder's dimension.
    """
    from pyspark.sql import functions as F

    index, folders = ItemIndex.open(folder), [model_folder, *hybrid.serving(model_folder).values()]
    shard = F.floor(F.col("item_num") / F.lit(index.shard_rows)).cast("int").alias("shard")

    def written(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        table = table.sort_by("item_num")
        micros = table["first_micros"].to_numpy().astype(np.float64)
        for place, one in enumerate(folders):
            write_shard(folder, one, key[0].as_py(), micros, now_micros, place)
        return pa.table({"shard": pa.array([key[0].as_py()], pa.int32())})

    n_shards = -(-index.n_items // index.shard_rows)
    done = first_micros.groupBy(shard).applyInArrow(written, _DONE).count()
    if done != n_shards:
        raise LakeError(f"learnt vectors fill {done} shards, not the {n_shards} of the index: prepare again")
    finish(folder, model_folder)


def finish(folder: str, model_folder: str) -> None:
    """Writes `learnt.json`: from here on the index has its models."""
    named = [(None, model_folder), *hybrid.serving(model_folder).items()]
    told = [{"market": name, "model": one, "fingerprint": hybrid.facts_of(one)["fingerprint"]} for name, one in named]
    replace(Path(folder) / LEARNT, lambda file: file.write(json.dumps({"models": told}, ensure_ascii=False).encode()))


def write_shard(
    folder: str, model_folder: str, shard: int, first_micros: NDArray[np.float64], now_micros: float, place: int = 0
) -> None:
    """Writes one model's vectors of one shard.

    Args:
        folder: A finished index.
        model_folder: The model.
        shard: Number of the shard.
        first_micros: (rows,) first moment of each of its items, NaN where nobody knows.
        now_micros: Moment of which freshness is told.
        place: Of the model among the index's.

    Raises:
        LakeError: sizes do not fit.
    """
    index, model = ItemIndex.open(folder), hybrid.load(model_folder)
    first, texts = index.shards[shard]
    if len(first_micros) != len(texts) or texts.shape[1] != model.facts["text_dim"]:
        raise LakeError(
            f"model {model_folder} takes vectors of {model.facts['text_dim']} numbers, and shard {shard} has "
            f"{len(texts)} of {texts.shape[1]}, with {len(first_micros)} ages: train with this encoder"
        )
    nums = slice(first, first + len(texts))
    rows = model.taught(index.item_ids.slice(first, len(texts)))
    own = np.asarray(texts)
    whole = (np.asarray(index.popularity(market)) for market in index.markets)
    parts = [(shares[nums], hybrid.average_popularity(shares, index.n_items)) for shares in whole]
    popular = np.stack([hybrid.log_popularity(shares, index.n_items, average) for shares, average in parts])
    fresh = hybrid.freshness(first_micros, now_micros)
    priors = model.priors(popular, fresh, rows)
    speaks = language_matrix(np.asarray(index.language_bits[nums]), len(index.languages))
    outputs = np.concatenate([model.outputs(own, rows), priors.T, speaks], axis=1)
    made = {
        "taught": rows >= 0, "fresh": fresh, "outputs": np.ascontiguousarray(outputs, dtype=np.float32),
        "norms": norms_of([(first, outputs)]),
        "inputs": np.ascontiguousarray(model.inputs(own, rows), dtype=np.float32),
    }  # fmt: skip
    for name, array in made.items():
        save(index.folder / f"{_array(place, name)}-{shard:05d}.npy", array)
