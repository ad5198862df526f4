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
from xlrec.kernels.topk import Shards, norms_of
from xlrec.recommenders import hybrid

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_DONE: Final = "shard int"


class Learnt:
    """The learnt vectors of an index's items, memory-mapped and row-aligned by item_num."""

    def __init__(self, index: ItemIndex) -> None:
        """Reads `learnt.json`; arrays load on first use."""
        self.index = index
        facts = json.loads((index.folder / LEARNT).read_text("utf-8"))
        self.model = hybrid.load(facts["model"])
        if self.model.fingerprint != facts["fingerprint"]:
            raise LakeError(f"model {facts['model']} is not the one that {index.folder} was made with: train again")

    @property
    def dim(self) -> int:
        """Numbers of the outputs: the learnt part, then one per market and per language."""
        return self.model.dim + len(self.index.markets) + len(self.index.languages)

    @cached_property
    def outputs(self) -> Shards:
        """(first item_num, (rows, dim) float32): the items as what is recommended."""
        return self.index.sharded("outputs")

    @cached_property
    def inputs(self) -> Shards:
        """(first item_num, (rows, model.dim + 1) float32): the items as history; the last column is the gate."""
        return self.index.sharded("inputs")

    @cached_property
    def gates(self) -> NDArray[np.float64]:
        """(n_items,) logit of each item in the attention."""
        return _joined([vectors[:, -1].astype(np.float64) for _, vectors in self.inputs], np.float64)

    @cached_property
    def taught(self) -> NDArray[np.bool_]:
        """(n_items,) whether the model was taught the item: somebody chose it."""
        return _joined([rows for _, rows in self.index.sharded("taught")], np.bool_)

    @cached_property
    def fresh(self) -> NDArray[np.float32]:
        """(n_items,) float32 of `hybrid.freshness` on the index's day.

        Raises:
            LakeError: the index was made before freshness was kept beside it.
        """
        try:
            return _joined([rows for _, rows in self.index.sharded("fresh")], np.float32)
        except OSError as error:
            raise LakeError(
                f"index {self.index.folder} holds no freshness ({error}): run `xlrec train` again"
            ) from error

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(n_items,) norms of the outputs."""
        return _joined([rows for _, rows in self.index.sharded("output-norms")], np.float64)

    def gather(self, item_nums: NDArray[np.integer[Any]], *, history: bool) -> NDArray[np.float32]:
        """(n, model.dim) learnt part of some items, as history or as what is recommended; a copy."""
        shards = self.inputs if history else self.outputs
        return self.index.gathered(list(shards), item_nums, self.model.dim)


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=kind), *parts])


def learnt_of(index: ItemIndex) -> Learnt | None:
    """The learnt side, the same object for all callers with this index; None where no model was written."""
    return _learnt_of(index) if (index.folder / LEARNT).exists() else None


@lru_cache(maxsize=4)
def _learnt_of(index: ItemIndex) -> Learnt:
    return Learnt(index)


def write_learnt(folder: str, model_folder: str, first_micros: "DataFrame", now_micros: float) -> None:
    """Writes the learnt vectors of all items with Spark, a task per shard.

    Args:
        folder: A finished index.
        model_folder: Of `HybridModel.save`, seen by driver and workers under this path.
        first_micros: item_num, first_micros (double; null where nobody knows): a row per item.
        now_micros: Moment of which freshness is told.

    Raises:
        LakeError: the rows are not one per item, or the model is of another encoder's dimension.
    """
    from pyspark.sql import functions as F

    index = ItemIndex.open(folder)
    shard = F.floor(F.col("item_num") / F.lit(index.shard_rows)).cast("int").alias("shard")

    def written(key: tuple[Any, ...], table: pa.Table) -> pa.Table:
        table = table.sort_by("item_num")
        micros = table["first_micros"].to_numpy().astype(np.float64)
        write_shard(folder, model_folder, key[0].as_py(), micros, now_micros)
        return pa.table({"shard": pa.array([key[0].as_py()], pa.int32())})

    n_shards = -(-index.n_items // index.shard_rows)
    done = first_micros.groupBy(shard).applyInArrow(written, _DONE).count()
    if done != n_shards:
        raise LakeError(f"learnt vectors fill {done} shards, not the {n_shards} of the index: prepare again")
    finish(folder, model_folder)


def finish(folder: str, model_folder: str) -> None:
    """Writes `learnt.json`: from here on the index has its model."""
    facts = {"model": model_folder, "fingerprint": hybrid.load(model_folder).fingerprint}
    replace(Path(folder) / LEARNT, lambda file: file.write(json.dumps(facts).encode()))


def write_shard(
    folder: str, model_folder: str, shard: int, first_micros: NDArray[np.float64], now_micros: float
) -> None:
    """Writes the learnt vectors of one shard.

    Args:
        folder: A finished index.
        model_folder: The model.
        shard: Number of the shard.
        first_micros: (rows,) first moment of each of its items, NaN where nobody knows.
        now_micros: Moment of which freshness is told.

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
        "output-norms": norms_of([(first, outputs)]),
        "inputs": np.ascontiguousarray(model.inputs(own, rows), dtype=np.float32),
    }  # fmt: skip
    for name, array in made.items():
        save(index.folder / f"{name}-{shard:05d}.npy", array)
