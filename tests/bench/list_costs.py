"""What diversity, near-duplicates and the language mix cost a list, and what they buy, on a lake that a night has left.

    python tests/bench/list_costs.py LAKE HOLDOUT [--json FILE]     # HOLDOUT: Parquet with user_id, item_id

Candidates are found once for the users of the holdout; each setting ranks them. NDCG@10 with the paired difference to
the plain list (score alone, any language, copies kept), mean distance of a list's texts, share of rows that are near
another of the list, and distance between the languages of lists and readers.
"""

import argparse
from glob import glob
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable
from judging import Floats, Lists, interval, ndcg, show, truth_of
from rich.table import Table

from xlrec.config.models import Config
from xlrec.index.items import ItemIndex
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.users import users_of
from xlrec.stages.retrieve import Retriever

_PLAIN: Final[dict[str, Any]] = {"diversity": 0.0, "near_duplicate": 1.0, "languages": "any"}
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "plain": _PLAIN,
    "readable first (calibration 0)": _PLAIN | {"languages": "calibrated", "calibration": 0.0},
    "calibration 0.2": _PLAIN | {"languages": "calibrated", "calibration": 0.2},
    "calibration 0.5": _PLAIN | {"languages": "calibrated", "calibration": 0.5},
    "diversity 0.05": _PLAIN | {"diversity": 0.05},
    "diversity 0.2": _PLAIN | {"diversity": 0.2},
    "near-duplicates 0.97": _PLAIN | {"near_duplicate": 0.97},
    "default": {},
}


def asked(lake: str, users: set[str]) -> pa.Table:
    """Users as `Retriever.candidates_of` takes them."""
    known = DeltaTable(f"{lake}/users").to_pandas(columns=["user_id", "market", "languages", "language_weights"])
    known = known[known.user_id.isin(users)].reset_index(drop=True)
    events = DeltaTable(f"{lake}/events").to_pandas(columns=["user_id", "timestamp", "item_num", "weight"])
    events = events[events.user_id.isin(users)]
    micros = events.timestamp.astype("datetime64[us, UTC]").astype("int64")
    events = events.assign(log=[*zip(micros, events.item_num, events.weight, strict=True)])
    logs = events.groupby("user_id").log.agg(list).reindex(known.user_id)
    kind = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))
    told = [[dict(zip(("micros", "item_num", "weight"), one, strict=True)) for one in log] for log in logs]
    table = pa.Table.from_pandas(known, preserve_index=False)
    return table.append_column("log", pa.array(told, kind))


def listed(index: ItemIndex, config: Config, candidates: list[pa.RecordBatch]) -> tuple[Lists, dict[str, Floats]]:
    """Lists of a setting, and what it buys, user by user."""
    ranker, ids, lists = Ranker(index, config), np.array(index.item_ids.to_pylist()), {}
    found: dict[str, list[float]] = {"distance": [], "near": [], "languages": []}
    for batch in candidates:
        users = users_of(batch, ranker.weights.max(axis=0))
        one = ranker.lists_of(users)
        for row, name in enumerate(batch["user_id"].to_pylist()):
            nums = one.nums[one.indptr[row] : one.indptr[row + 1]]
            lists[name] = ids[nums].tolist()
            products = (vectors := index.gather(nums).astype(float)) @ vectors.T
            pairs = products[np.triu_indices(len(nums), 1)]
            found["distance"].append(1 - pairs.mean())
            found["near"].append(((products - 2 * np.eye(len(nums))).max(axis=1) >= 0.97).mean())
            shown = one.shown[one.indptr[row] : one.indptr[row + 1]]
            spoken = [index.languages[at] if at >= 0 else "" for at in shown]
            reads = dict(zip(batch["languages"][row].as_py(), batch["language_weights"][row].as_py(), strict=True))
            common = sum(min(weight, spoken.count(tongue) / len(spoken)) for tongue, weight in reads.items())
            found["languages"].append(1 - common)
    return lists, {name: np.array(values) for name, values in found.items()}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake")
    parser.add_argument("holdout", type=Path)
    parser.add_argument("--json")
    options = parser.parse_args()
    truth = truth_of(pd.read_parquet(options.holdout))
    base = {"lake": options.lake, "inputs": {"catalog": "-", "interactions": "-"}, "k": 10}
    newest = max(glob(f"{options.lake}/_index/*"))
    index, users = ItemIndex.open_folder(newest), asked(options.lake, set(truth))
    wide = Config.model_validate(base | {"rank": {"languages": "any"}})
    blocks = {
        languages: Retriever(index, Config.model_validate(base | {"rank": {"languages": languages}}))
        for languages in ("any", "calibrated")
    }
    candidates = {name: one.rows(users).to_batches(max_chunksize=1024) for name, one in blocks.items()}
    table = Table(title=f"{len(truth):,} users, {index.n_items:,} items")
    for name in ("setting", "NDCG@10", "less the plain list", "share of it", "distance", "near another", "languages"):
        table.add_column(name, justify="left" if name == "setting" else "right")
    plain, rows = np.zeros(0), []
    for name, setting in _SETTINGS.items():
        config = Config.model_validate(base | {"rank": setting}) if setting else wide.model_validate(base)
        lists, bought = listed(index, config, candidates[config.rank.languages])
        gains = ndcg(lists, truth)
        plain = gains if name == "plain" else plain
        mean, gain = interval(gains)[0], interval(gains - plain)
        bought = {what: float(values.mean()) for what, values in bought.items()}
        rows.append({"setting": name, "ndcg": mean, "minus": gain, **bought})
        table.add_row(
            name, f"{mean:.4f}", f"{gain[0]:+.4f} [{gain[1]:+.4f}, {gain[2]:+.4f}]", f"{gain[0] / plain.mean():+.1%}",
            *(f"{value:.3f}" for value in bought.values()),
        )  # fmt: skip
    show([(table, rows)], options.json)


if __name__ == "__main__":
    main()
