"""A small catalogue in two markets and two languages, users who chose some of it, and the index of both."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from worlds.index_arrays import write_arrays
from xlrec.config.models import Config
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import write_learnt
from xlrec.recommenders.factors import FactorModel, load

DIM, MARKETS, LANGUAGES, DAY = 8, ("A", "B", "ZZ"), ("aa", "bb"), 86_400_000_000
N_ITEMS, N_USERS = 80, 24
IDS = [f"i{num:02d}" for num in range(N_ITEMS)]
LOG = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))


class Item(NamedTuple):
    """What an index knows of an item."""

    vector: Any
    languages: list[str]
    markets: list[str] | None
    available: bool
    popularity: dict[str, float]
    first: float


class World(NamedTuple):
    """Items in the order of their ids, and what each user chose: (micros, item_num, weight)."""

    items: list[Item]
    logs: list[list[tuple[int, int, float]]]


def item(rng: np.random.Generator) -> Item:
    vector = rng.normal(size=DIM)
    vector *= 0 if rng.random() < 0.05 else 1 / np.linalg.norm(vector)
    sold = None if rng.random() < 0.6 else list(rng.permutation(MARKETS[:2])[: rng.integers(0, 3)])
    popular = {market: float(rng.random() ** 3) for market in MARKETS if rng.random() < 0.8}
    speaks = list(rng.permutation(LANGUAGES)[: rng.integers(0, 3)])
    return Item(vector, speaks, sold, bool(rng.random() < 0.95), popular, -rng.random() * 50 * DAY)


def world(rng: np.random.Generator) -> World:
    items = [item(rng) for _ in range(N_ITEMS)]
    return World(items, [events(rng, rng.integers(0, 5)) for _ in range(N_USERS)])


def events(rng: np.random.Generator, n: Any) -> list[tuple[int, int, float]]:
    return [(int(-rng.random() * DAY), int(num), float(rng.integers(0, 3))) for num in rng.choice(N_ITEMS, n)]


def model_in(folder: Path) -> str:
    """An artefact of random weights, taught half of the items."""
    rng = np.random.default_rng(5)
    ids = IDS[::2]
    arrays = {
        "text_map": rng.normal(size=(DIM + 1, 6)), "factors": rng.normal(size=(len(ids), 6)), "whitening": np.eye(6),
        "log_norm": np.zeros(1), "moments": np.linspace(-50 * DAY, 0, 9)[None].repeat(2, axis=0), "pace": np.ones(2),
    }  # fmt: skip
    FactorModel(arrays, pa.array(ids), {"text_dim": DIM, "boost": 1.2, "markets": ["A", "B"]}).save_model(folder)
    return str(folder)


def laid(folder: Path, made: World, model: str | None) -> ItemIndex:
    popular = [(m, num, s) for num, one in enumerate(made.items) for m, s in one.popularity.items()]
    write_arrays(
        folder, item_ids=IDS, vectors=np.stack([one.vector for one in made.items]), shard_rows=30,
        languages=[sorted(one.languages) for one in made.items], markets=[one.markets for one in made.items],
        available=[one.available for one in made.items], popularity=popular,
    )  # fmt: skip
    if model is not None:
        write_learnt(str(folder), {None: load(model)}, np.array([one.first for one in made.items]))
    return ItemIndex.open_folder(str(folder))


def table(made: World) -> pa.Table:
    rows = [
        {
            "user_id": f"u{at:02d}", "market": ("A", "B", "elsewhere")[at % 3],
            "languages": [["aa"], ["bb", "aa"], []][at % 3], "language_weights": [[1.0], [0.5, 0.5], []][at % 3],
            "log": [dict(zip(("micros", "item_num", "weight"), one, strict=True)) for one in log],
        }
        for at, log in enumerate(made.logs)
    ]  # fmt: skip
    strings = pa.list_(pa.string())
    kinds = {"languages": strings, "language_weights": pa.list_(pa.float64()), "log": LOG}
    names = {"user_id": pa.string(), "market": pa.string(), **kinds}
    return pa.Table.from_pylist(rows, schema=pa.schema(list(names.items())))


def config() -> Config:
    return Config.model_validate(
        {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": 3, "retrieve": {"candidates": 6}}
    )
