"""The learnt recommender as an artefact: score(u, i) = ⟨q_u, v_i⟩, served by the exact search.

v_i = [text_i · A_out + residual_i | prior of i in each market | languages of i] and
q_u = [scale · Σ_h a_h · (text_h · A_in + residual'_h) | one at the user's market | weight · languages that u reads].
The prior joins the item's own bias, its popularity in the market and its freshness. Items that the model was not
taught have no residual and no bias: text, popularity and languages serve them. There is no table of users.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.kernels.attention import N_LENGTHS, Attention, length_buckets

#: Layout of the folder; another layout does not load.
LAYOUT: Final = 1
FACTS: Final = "model.json"
WEIGHTS: Final = "weights.safetensors"
ITEMS: Final = "items.arrow"
#: Fact that names, by market, the folders below of models that serve a market alone.
MARKET_MODELS: Final = "market_models"
#: Arrays of `WEIGHTS`: adapters (text_dim, dim), residuals (n_taught, dim), and what weighs the dimensions beside them.
ARRAYS: Final = (
    "adapter_out", "adapter_in", "residual_out", "residual_in", "bias", "gate", "places", "ages", "lengths", "scalars",
)  # fmt: skip
#: Names of `scalars`: logarithm of the scale, exponent of a visit's weight, then one per dimension beside the text.
SCALARS: Final = ("log_scale", "weight", "popularity", "freshness", "language")
_DAY: Final = 86_400_000_000.0
_FRESH_HALF_LIFE_DAYS: Final = 14.0
#: Share of popularity that counts as a tenth of an average item's.
_POPULARITY_UNIT: Final = 10.0


def log_popularity(
    shares: NDArray[np.floating[Any]], n_items: int, average: "NDArray[np.floating[Any]] | float | None" = None
) -> NDArray[np.float32]:
    """Popularity as the model sees it: log(1 + 10 · share · n_items); 2.4 for an average item.

    An item that nobody has met counts as the average of those that somebody has: no events tell nothing about it, and
    with a popularity of zero no new item would ever be recommended.

    Args:
        shares: (..., n) of a market's decayed event weight; 0 where nobody has met the item.
        n_items: Items of the catalogue.
        average: (...,) of `average_popularity` where `shares` are a part of the items; None: they are all.
    """
    met = shares > 0
    level = np.asarray(average_popularity(shares, n_items) if average is None else average)
    return np.where(met, np.log1p(_POPULARITY_UNIT * shares * n_items), level[..., None]).astype(np.float32)


def average_popularity(shares: NDArray[np.floating[Any]], n_items: int) -> NDArray[np.float64]:
    """(...,) mean of log(1 + 10 · share · n_items) over the items that somebody has met; 0 where there is none."""
    met = shares > 0
    total = np.where(met, np.log1p(_POPULARITY_UNIT * shares * n_items), 0.0).sum(axis=-1)
    return np.asarray(total / np.maximum(met.sum(axis=-1), 1))


def freshness(first_micros: NDArray[np.floating[Any]], now_micros: float) -> NDArray[np.float32]:
    """0.5 ^ (age / 14 days) of items known by then; 0 where the first moment is later, or nobody knows it (NaN)."""
    known = first_micros <= now_micros
    age = np.where(known, now_micros - np.where(known, first_micros, now_micros), 0.0) / _DAY
    return np.where(known, 0.5 ** (age / _FRESH_HALF_LIFE_DAYS), 0.0).astype(np.float32)


@dataclass(frozen=True)
class HybridModel:
    """Weights and facts of one trained model."""

    arrays: dict[str, NDArray[Any]]
    item_ids: "pa.Array[Any]"
    """Items that were taught, ascending; rows of the residuals."""
    facts: dict[str, Any]
    """dim, text_dim, max_history, encoder, markets, languages, n_visits, figures, …"""

    @property
    def dim(self) -> int:
        """Numbers of the part that is learnt from texts and residuals."""
        return int(self.arrays["adapter_out"].shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Names the weights: hash of all arrays and ids."""
        whole = hashlib.sha256()
        for name in ARRAYS:
            whole.update(name.encode() + np.ascontiguousarray(self.arrays[name]).tobytes())
        whole.update("\n".join(map(str, self.item_ids.to_pylist())).encode())
        return whole.hexdigest()[:16]

    def scalar(self, name: str) -> float:
        """One of `SCALARS`."""
        return float(self.arrays["scalars"][SCALARS.index(name)])

    @cached_property
    def attention(self) -> Attention:
        """Tables for `kernels.attention`."""
        tables = {name: self.arrays[name].astype(np.float64) for name in ("places", "ages", "lengths")}
        scale = float(np.exp(self.scalar("log_scale")))
        return Attention(
            tables["places"], tables["ages"], self.scalar("weight"), tables["lengths"], scale,
            int(self.facts["max_history"]),
        )  # fmt: skip

    def taught(self, item_ids: "pa.Array[Any]") -> NDArray[np.int64]:
        """(n,) row of each item in the residuals; -1 for items that were not taught."""
        return np.asarray(pc.index_in(item_ids, value_set=self.item_ids).fill_null(-1).to_numpy(zero_copy_only=False))

    def outputs(self, texts: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, dim) float32: the items as what is recommended.

        Args:
            texts: (n, text_dim) float32 vectors of the items' texts; zero where there is none.
            rows: Of `taught`.
        """
        return self._with_residual(texts @ self.arrays["adapter_out"], rows, "residual_out")

    def inputs(self, texts: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, dim + 1) float32: the items as what a history is made of; the last column is their gate."""
        found = self._with_residual(texts @ self.arrays["adapter_in"], rows, "residual_in")
        return np.concatenate([found, (texts @ self.arrays["gate"])[:, None]], axis=1)

    def _with_residual(self, found: NDArray[np.float32], rows: NDArray[np.int64], name: str) -> NDArray[np.float32]:
        found[rows >= 0] += self.arrays[name][rows[rows >= 0]]
        return found

    def priors(
        self, popularity: NDArray[np.floating[Any]], fresh: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """(n_markets, n) float32: what speaks for each item in each market whoever the user is.

        Args:
            popularity: (n_markets, n) of `log_popularity`.
            fresh: (n,) of `freshness`.
            rows: Of `taught`.
        """
        own = np.where(rows >= 0, self.arrays["bias"][rows], 0.0) if len(self.item_ids) else np.zeros(len(rows))
        found = self.scalar("popularity") * popularity + (own + self.scalar("freshness") * fresh)[None]
        return found.astype(np.float32)

    def scales(self, n_visits: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """(n_users,) scale of each query; 0 for who has no history."""
        counted = np.minimum(n_visits, self.attention.max_history)
        scale = self.attention.scale * np.exp(self.attention.lengths[length_buckets(counted)])
        return np.where(counted > 0, scale, 0.0)

    def save(self, folder: Path) -> None:
        """Writes the artefact; `model.json`, its last file, makes it whole."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(self.arrays[name]) for name in ARRAYS}, folder / WEIGHTS)
        with pa.ipc.new_file(str(folder / ITEMS), pa.schema([("item_id", pa.string())])) as writer:
            writer.write_table(pa.table({"item_id": self.item_ids}), max_chunksize=max(1, len(self.item_ids)))
        facts = {"layout": LAYOUT, "fingerprint": self.fingerprint, **self.facts}
        (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


def facts_of(folder: str) -> dict[str, Any]:
    """What `model.json` says.

    Raises:
        LakeError: there is no whole model of this layout.
    """
    try:
        facts: dict[str, Any] = json.loads((Path(folder) / FACTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LakeError(
            f"no learnt model in {folder} ({error}): train one with `xlrec train` or `xlrec transfer`"
        ) from error
    if facts.get("layout") != LAYOUT:
        raise LakeError(
            f"model {folder} has layout {facts.get('layout')!r}, this version reads {LAYOUT}: train it again"
        )
    return facts


def save_all(model: HybridModel, markets: dict[str, HybridModel], folder: Path) -> None:
    """Writes a model with those that serve a market in its place; the model's own facts, the last file, name them."""
    below = {name: f"markets/{place:05d}" for place, name in enumerate(sorted(markets))}
    for name, path in below.items():
        markets[name].save(folder / path)
    HybridModel(model.arrays, model.item_ids, {**model.facts, MARKET_MODELS: below}).save(folder)


def serving(folder: str) -> dict[str, str]:
    """Folder of the model that serves each market which has its own; `folder` serves all others."""
    return {name: f"{folder}/{path}" for name, path in facts_of(folder).get(MARKET_MODELS, {}).items()}


def load(folder: str) -> HybridModel:
    """The model in a folder; kept in this process until the folder is written anew.

    Raises:
        LakeError: there is no whole model of this layout, or its files do not fit together.
    """
    facts = facts_of(folder)
    return _load(folder, str(facts["fingerprint"]))


@lru_cache(maxsize=4)
def _load(folder: str, fingerprint: str) -> HybridModel:
    from safetensors.numpy import load_file

    facts = facts_of(folder)
    try:
        arrays = load_file(Path(folder) / WEIGHTS)
        table = pa.ipc.open_file(str(Path(folder) / ITEMS)).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise LakeError(f"model {folder} cannot be read ({error}): train it again") from error
    chunks = table["item_id"].chunks
    model = HybridModel(arrays, chunks[0] if chunks else pa.array([], pa.string()), facts)
    if set(arrays) != set(ARRAYS) or len(arrays["lengths"]) != N_LENGTHS or model.fingerprint != fingerprint:
        raise LakeError(f"model {folder} is not what its {FACTS} says: it was changed or cut; train it again")
    return model
