"""What a user's list costs as the catalogue grows: retrieval, the fused list, the list by the largest ranker there is.

    python tests/bench/ranking_cost.py 1000 10000 100000

Invented items (256 numbers a text, 10 neighbours each, no learnt model), 256 users with 20 events each, on one thread.
The first ranker has as many and as large trees as `xlrec train-ranker` would ever learn, the second larger ones.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from rankers import LOG, Evaluated, costs, examples
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from xlrec.training.ranker.trees import MOST_TREES, SETTINGS, Setting, fit

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.index_writer import write_arrays

N_USERS, N_EVENTS, DIM = 256, 20, 256


def world(folder: Path, n_items: int) -> Evaluated:
    """Users who later choose a neighbour of what they chose."""
    rng = np.random.default_rng(0)
    near = rng.integers(0, n_items, (n_items, 10))
    pairs = [(a, int(b), 1 / (2 + place)) for a in range(n_items) for place, b in enumerate(near[a]) if a != b]
    popular = [("DE", num, float(share)) for num, share in enumerate(rng.random(n_items) ** 4)]
    vectors = rng.normal(size=(n_items, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids, languages = [f"i{num:07d}" for num in range(n_items)], [["en"]] * n_items
    write_arrays(folder, item_ids=ids, vectors=vectors, languages=languages, neighbours=pairs, popularity=popular)
    chosen = rng.integers(0, n_items, (N_USERS, N_EVENTS))
    day = 86_400_000_000
    logs = [[{"micros": at * day, "item_num": int(num), "weight": 1.0} for at, num in enumerate(row)] for row in chosen]
    asked = pa.table(
        {
            "user_id": [f"u{num:04d}" for num in range(N_USERS)], "market": ["DE"] * N_USERS,
            "languages": pa.array([["en"]] * N_USERS), "language_weights": pa.array([[1.0]] * N_USERS),
            "log": pa.array(logs, LOG),
        }
    )  # fmt: skip
    return Evaluated(ItemIndex.open(str(folder)), asked, near[chosen[:, -1]].tolist())


def main(sizes: list[int]) -> None:
    """Prints a row per size of the catalogue."""
    config = Config.model_validate({"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}})
    table = Table("items", title="ms a user")
    largest = max(SETTINGS, key=lambda one: one.leaves)
    kinds = {f"{MOST_TREES} trees of {one.leaves} leaves": one for one in (largest, Setting(7, 0.05))}
    for column in ("retrieve", "rank, weighted fusion", *(f"rank, {name}" for name in kinds)):
        table.add_column(column, justify="right")
    for n_items in sizes:
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
            made = world(Path(folder), n_items)
            learnt = examples(made, config)
            everyone = np.ones(N_USERS, dtype=np.bool_)
            boosters = {name: fit(learnt, everyone, one, MOST_TREES, 0) for name, one in kinds.items()}
            found = costs(made, config, boosters)
            table.add_row(f"{n_items:,}", *(f"{value:.2f}" for value in found.values()))
    Console(width=100).print(table)


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [1_000, 10_000, 100_000])
