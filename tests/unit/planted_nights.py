"""Small worlds of nights: items that come, go and change, users who act; their indexes, and users as a table."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.index_learnt import finish, write_shard
from xlrec.index_writer import write_arrays
from xlrec.recommenders.factors import FactorModel

DIM, MARKETS, LANGUAGES, DAY = 8, ("A", "B", "ZZ"), ("aa", "bb"), 86_400_000_000
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
    """A catalogue, and what users chose: (micros, item_id, weight)."""

    items: dict[str, Item]
    logs: dict[str, list[tuple[int, str, float]]]


def item(rng: np.random.Generator, night: int) -> Item:
    vector = rng.normal(size=DIM)
    vector *= 0 if rng.random() < 0.05 else 1 / np.linalg.norm(vector)
    sold = None if rng.random() < 0.6 else list(rng.permutation(MARKETS[:2])[: rng.integers(0, 3)])
    popular = {market: float(rng.random() ** 3) for market in MARKETS if rng.random() < 0.8}
    speaks = list(rng.permutation(LANGUAGES)[: rng.integers(0, 3)])
    return Item(vector, speaks, sold, bool(rng.random() < 0.95), popular, night * DAY - rng.random() * 50 * DAY)


def first_night(rng: np.random.Generator, n_items: int = 80, n_users: int = 24) -> World:
    items = {f"i{num:03d}": item(rng, 0) for num in range(0, 2 * n_items, 2)}
    logs = {f"u{user:02d}": events(rng, items, 0, rng.integers(0, 5)) for user in range(n_users)}
    return World(items, logs)


def events(rng: np.random.Generator, items: dict[str, Item], night: int, n: Any) -> list[tuple[int, str, float]]:
    some = rng.choice(list(items), n)
    return [(int((night - rng.random()) * DAY), str(one), float(rng.integers(0, 3))) for one in some]


def next_night(world: World, rng: np.random.Generator, night: int, share: float, drift: float) -> World:
    """Items come, go and change, users act; `drift` moves everybody's popularity."""
    items = {name: one for name, one in world.items.items() if rng.random() > share}
    for name, one in items.items():
        popular = {m: s * float(np.exp(drift * rng.normal())) for m, s in one.popularity.items()}
        items[name] = item(rng, night) if rng.random() < share else one._replace(popularity=popular)
        if rng.random() < share:
            items[name] = items[name]._replace(available=not one.available)
    items |= {f"i{2 * int(num) + 1:03d}": item(rng, night) for num in rng.integers(0, 90, rng.binomial(80, share))}
    logs = {
        user: [row for row in log if row[1] in items] + (events(rng, items, night, 1) if rng.random() < share else [])
        for user, log in world.logs.items()
    }
    return World(items, logs)


def model_in(folder: Path) -> str:
    """An artefact of random weights, taught half of the first items."""
    rng = np.random.default_rng(5)
    ids = [f"i{num:03d}" for num in range(0, 80, 2)]
    arrays = {
        "text_map": rng.normal(size=(DIM + 1, 6)), "factors": rng.normal(size=(len(ids), 6)), "whitening": np.eye(6),
        "log_norm": np.zeros(1), "moments": np.linspace(-50 * DAY, 0, 9)[None].repeat(2, axis=0), "pace": np.ones(2),
    }  # fmt: skip
    FactorModel(arrays, pa.array(ids), {"text_dim": DIM, "boost": 1.2, "markets": ["A", "B"]}).save(folder)
    return str(folder)


def laid(folder: Path, world: World, model: str | None) -> ItemIndex:
    ids = sorted(world.items)
    items = [world.items[name] for name in ids]
    popular = [(m, num, s) for num, one in enumerate(items) for m, s in one.popularity.items()]
    write_arrays(
        folder, item_ids=ids, vectors=np.stack([one.vector for one in items]), shard_rows=30,
        languages=[sorted(one.languages) for one in items], markets=[one.markets for one in items],
        available=[one.available for one in items], popularity=popular,
    )  # fmt: skip
    if model is not None:
        for shard in range(-(-len(ids) // 30)):
            ages = np.array([one.first for one in items[30 * shard : 30 * shard + 30]])
            write_shard(str(folder), model, shard, ages)
        finish(str(folder), {None: model})
    return ItemIndex.open(str(folder))


def table(world: World) -> pa.Table:
    nums = {name: num for num, name in enumerate(sorted(world.items))}
    rows = [
        {
            "user_id": user, "market": ("A", "B", "elsewhere")[at % 3], "languages": [["aa"], ["bb", "aa"], []][at % 3],
            "language_weights": [[1.0], [0.5, 0.5], []][at % 3],
            "log": [{"micros": micros, "item_num": nums[name], "weight": weight} for micros, name, weight in log],
        }
        for at, (user, log) in enumerate(world.logs.items())
    ]  # fmt: skip
    strings = pa.list_(pa.string())
    kinds = {"languages": strings, "language_weights": pa.list_(pa.float64()), "log": LOG}
    names = {"user_id": pa.string(), "market": pa.string(), **kinds}
    return pa.Table.from_pylist(rows, schema=pa.schema(list(names.items())))


def config(spare: int, candidates: int = 6, languages: str = "any", exclude_seen: bool = True) -> Config:
    retrieve = {"candidates": candidates, "incremental": {"spare": spare}, "exclude_seen": exclude_seen}
    return Config.model_validate(
        {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": 3, "retrieve": retrieve,
         "rank": {"languages": languages}}
    )  # fmt: skip
