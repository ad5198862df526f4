"""What a user's list costs as the catalogue grows: retrieval, and the fused list.

    python tests/bench/ranking_cost.py 1000 10000 100000

Invented items (256 numbers a text, 10 neighbours each, no learnt model), 256 users with 20 events each, on one thread.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from xlrec.config.models import Config
from xlrec.index.items import ItemIndex
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.users import users_of
from xlrec.stages.retrieve import Retriever

N_USERS, N_EVENTS, DIM = 256, 20, 256
LOG = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))
_ROUNDS = 3


def world(folder: Path, n_items: int) -> tuple[ItemIndex, pa.Table]:
    """Invented items, and users with their logs."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from worlds.index_arrays import write_arrays

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
    return ItemIndex.open_folder(str(folder)), asked


def costs(index: ItemIndex, asked: pa.Table, config: Config) -> tuple[float, float]:
    """Milliseconds a user of retrieval and of the list, the best of some rounds."""
    retriever, ranker = Retriever(index, config), Ranker(index, config)
    (batch,) = retriever.candidates_of(asked).combine_chunks().to_batches()
    users = users_of(batch, ranker.weights)

    def timed(step: Callable[[], Any]) -> float:
        step()
        best = np.inf
        for _ in range(_ROUNDS):
            began = perf_counter()
            step()
            best = min(best, perf_counter() - began)
        return best / batch.num_rows * 1e3

    return timed(lambda: retriever.candidates_of(asked)), timed(lambda: ranker.lists_of(users))


def main(sizes: list[int]) -> None:
    """Prints a row per size of the catalogue."""
    config = Config.model_validate({"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}})
    table = Table("items", title="ms a user")
    for column in ("retrieve", "rank"):
        table.add_column(column, justify="right")
    for n_items in sizes:
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
            found = costs(*world(Path(folder), n_items), config)
            table.add_row(f"{n_items:,}", *(f"{value:.2f}" for value in found))
    Console(width=100).print(table)


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [1_000, 10_000, 100_000])
