"""The learnt recommender as an artefact: score(u, i) = ⟨q_u, v_i⟩, served by the exact search.

It is a matrix factorisation whose item factors lean on the texts (sources: `kernels.history.factorisation`).
p_i = W y_i is the whitened factor of item i. y_i comes from the item's users and text, or for an item without users
from its text alone, B [t_i, 1]. v_i = scale_i p_i and q_u = Σ_h w_h p_h over the history, with the weights of
`kernels.history.factorisation.fold_in`. There is no table of users: any history is served the next night.
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
from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.history.factorisation import Preferences, item_scales, with_intercept

#: Layout of the folder; another layout does not load.
LAYOUT: Final = 2
FACTS: Final = "model.json"
WEIGHTS: Final = "weights.safetensors"
ITEMS: Final = "items.arrow"
#: Arrays of `WEIGHTS`, float64: B (text_dim + 1, dim), y (n_taught, dim), W (dim, dim), `log_norm` (1,) of
#: `factorisation.mean_log_norm`, and the events by which an item's exposure is counted: `moments` (n_markets, n) their
#: quantiles in microseconds, `pace` (n_markets,) events for each item sold.
ARRAYS: Final = ("text_map", "factors", "whitening", "log_norm", "moments", "pace")


def preference_strengths(weights: NDArray[np.number[Any]]) -> NDArray[np.float64]:
    """(n,) float64 confidences of preferences: (n,) summed weights of a user and an item, of any dtype, at most 1.

    A view predicts less than a choice; a second choice or a purchase predicts no more.
    """
    return np.asarray(np.minimum(weights, 1.0), dtype=np.float64)


def summed_preferences(
    owners: NDArray[np.integer[Any]], nums: NDArray[np.int32], weights: NDArray[np.float64], n_users: int
) -> Preferences:
    """Distinct items of each user, ascending, with the confidence that their events give together.

    Args:
        owners: (n_events,) integer rows of the users, in any order.
        nums: (n_events,) int32 item_nums.
        weights: (n_events,) float64 weights of the events.
        n_users: Number of all users, with events or without.
    """
    n_items = int(nums.max(initial=0)) + 1
    cells, where = np.unique(owners.astype(np.int64) * n_items + nums, return_inverse=True)
    users, items = np.divmod(cells, n_items)
    totals = np.bincount(where, weights=weights, minlength=len(cells))
    return Preferences(
        indptr_of(np.bincount(users, minlength=n_users)), items.astype(np.int32), preference_strengths(totals)
    )


@dataclass(frozen=True)
class FactorModel:
    """Weights and facts of one trained model."""

    arrays: dict[str, NDArray[Any]]
    item_ids: "pa.Array[Any]"
    """Items that had users in training, ascending; rows of `item_factors`."""
    facts: dict[str, Any]
    """boost, text_dim, encoder, markets (rows of `moments`), n_visits, figures, …"""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.arrays["whitening"].shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all arrays and ids, which names the weights."""
        whole = hashlib.sha256(repr(self.facts["boost"]).encode())
        for name in ARRAYS:
            whole.update(name.encode() + np.ascontiguousarray(self.arrays[name]).tobytes())
        whole.update("\n".join(map(str, self.item_ids.to_pylist())).encode())
        return whole.hexdigest()[:16]

    def factor_rows(self, item_ids: "pa.Array[Any]") -> NDArray[np.int64]:
        """(n_items,) int64 row of each item in `item_factors`; -1 for items that had no users in training."""
        return np.asarray(pc.index_in(item_ids, value_set=self.item_ids).fill_null(-1).to_numpy(zero_copy_only=False))

    def item_factors(self, texts: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n_items, dim) float64 y of items: their own where they have one, else that of the text.

        Texts are (n_items, text_dim) float32, zero where there is none; rows are (n_items,) int64 of `factor_rows`.
        """
        vectors = with_intercept(texts) @ self.arrays["text_map"]
        vectors[rows >= 0] = self.arrays["factors"][rows[rows >= 0]]
        return np.asarray(vectors)

    def history_vectors(self, factors: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n_items, dim) float32 p: items as parts of a history, from (n_items, dim) float64 y."""
        return np.asarray(factors @ self.arrays["whitening"], dtype=np.float32)

    def candidate_vectors(self, factors: NDArray[np.float64], exposure: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n_items, dim) float32 v: candidates, from (n_items, dim) float64 y and (n_items,) float64 exposures."""
        norms, mean = np.linalg.norm(factors, axis=1), float(self.arrays["log_norm"][0])
        scales = item_scales(norms, mean, exposure, float(self.facts["boost"]))
        return np.asarray(scales[:, None] * (factors @ self.arrays["whitening"]), dtype=np.float32)

    def item_exposure(
        self, first_micros: NDArray[np.floating[Any]], eligible: NDArray[np.bool_], markets: tuple[str, ...]
    ) -> NDArray[np.float64]:
        """(n_items,) float64 events that an average item of the same markets had since each item was there.

        Args:
            first_micros: (n_items,) floating microseconds; NaN: it was always there.
            eligible: (n_markets, n_items) bool: sold there.
            markets: Names of the rows of `eligible`; one that the model does not know has no events.
        """
        since = np.where(np.isnan(first_micros), -np.inf, first_micros)
        exposure = np.zeros(len(since))
        for market, sold in zip(markets, eligible, strict=True):
            if market in self.facts["markets"]:
                row = self.facts["markets"].index(market)
                moments = self.arrays["moments"][row]
                after = 1 - np.searchsorted(moments, since) / len(moments)
                exposure += sold * self.arrays["pace"][row] * after
        return exposure

    def save_model(self, folder: Path) -> None:
        """Writes the artefact; `model.json`, its last file, makes it whole."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(self.arrays[name]) for name in ARRAYS}, folder / WEIGHTS)
        with pa.ipc.new_file(str(folder / ITEMS), pa.schema([("item_id", pa.string())])) as writer:
            writer.write_table(pa.table({"item_id": self.item_ids}), max_chunksize=max(1, len(self.item_ids)))
        facts = {"layout": LAYOUT, "fingerprint": self.fingerprint, **self.facts}
        (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


def model_facts(folder: str) -> dict[str, Any]:
    """Facts in `model.json`.

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


def load(folder: str) -> FactorModel:
    """The model in a folder; kept in this process until the folder is written anew.

    Raises:
        LakeError: there is no whole model of this layout, or its files do not fit together.
    """
    facts = model_facts(folder)
    return _load(folder, str(facts["fingerprint"]))


@lru_cache(maxsize=4)
def _load(folder: str, fingerprint: str) -> FactorModel:
    from safetensors.numpy import load_file

    facts = model_facts(folder)
    try:
        arrays = load_file(Path(folder) / WEIGHTS)
        table = pa.ipc.open_file(str(Path(folder) / ITEMS)).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise LakeError(f"model {folder} cannot be read ({error}): train it again") from error
    chunks = table["item_id"].chunks
    model = FactorModel(arrays, chunks[0] if chunks else pa.array([], pa.string()), facts)
    if set(arrays) != set(ARRAYS) or model.fingerprint != fingerprint:
        raise LakeError(f"model {folder} is not what its {FACTS} says: it was changed or cut; train it again")
    return model
