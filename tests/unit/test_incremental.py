"""Nights that bring the last night's lists up to date give the rows of nights that search everything, bit for bit."""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.config import Config
from xlrec.errors import MachineError
from xlrec.index import ItemIndex
from xlrec.index_learnt import finish, write_shard
from xlrec.index_writer import write_arrays
from xlrec.kernels.attention import N_AGES, N_LENGTHS, N_PLACES
from xlrec.kernels.renewal import best_rise
from xlrec.kernels.topk_torch import top_k_torch
from xlrec.recommenders.hybrid import HybridModel
from xlrec.searches import Search, whole
from xlrec.searches import finish as finish_lists
from xlrec.stages.retrieve import Retriever

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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An artefact of random weights, taught half of the first items."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("model")
    ids = [f"i{num:03d}" for num in range(0, 80, 2)]
    shapes = {
        "adapter_out": (DIM, 6), "adapter_in": (DIM, 6), "residual_out": (len(ids), 6), "residual_in": (len(ids), 6),
        "bias": (len(ids),), "gate": (DIM,), "places": (N_PLACES,), "ages": (N_AGES,), "lengths": (N_LENGTHS,),
        "scalars": (5,),
    }  # fmt: skip
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["scalars"] = np.array([1.0, 0.3, 0.2, 0.1, 0.5], dtype=np.float32)
    HybridModel(arrays, pa.array(ids), {"text_dim": DIM, "max_history": 4}).save(folder)
    return str(folder)


def laid(folder: Path, world: World, model: str | None, night: int) -> ItemIndex:
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
            write_shard(str(folder), model, shard, ages, float(night * DAY))
        finish(str(folder), model)
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


def nights(
    folder: Path, model: str | None, how: Config, seed: int, share: float, drift: float, n_nights: int = 4
) -> Counter[str]:
    """Checks every night against a full search; how users were served after the first."""
    rng = np.random.default_rng(seed)
    world, old, told = first_night(rng), None, Counter[str]()
    for night in range(n_nights):
        index = laid(folder / f"index-{night}", world, model, night)
        part = int(rng.integers(0, 3))  # users may come to other tasks than last night
        search = Search(index, how.retrieve, old=old, keep=True, part=part)
        retriever, users = Retriever(index, how, search), table(world)
        cut = int(rng.integers(1, users.num_rows))
        found = pa.concat_tables([retriever.rows(users.slice(0, cut)), retriever.rows(users.slice(cut))])
        assert found.equals(Retriever(index, how).rows(users)), f"night {night}"
        old = str(folder / f"lists-{night}")
        search.save(old)
        tasks = list(finish_lists(old, str(index.folder)))
        assert tasks == [{"counts": dict(search.told), "paths": ["float32"]}]
        told.update(search.told if night else {})
        world = next_night(world, rng, night + 1, share, drift)
    return told


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0.0, 0.02, 0.2]), st.sampled_from([0.0, 0.05, 1.0]),
    st.sampled_from([1, 4, 100]), st.sampled_from(["any", "only"]), st.booleans(),
)  # fmt: skip
def test_any_nights_have_the_rows_of_a_full_search(
    tmp_path_factory: pytest.TempPathFactory, model: str, seed: int, learnt: bool, share: float, drift: float,
    spare: int, languages: str, exclude_seen: bool,
) -> None:  # fmt: skip
    how = config(spare, languages=languages, exclude_seen=exclude_seen)
    nights(tmp_path_factory.mktemp("nights"), model if learnt else None, how, seed, share, drift)


@pytest.mark.parametrize("drift", [0.0, 0.05])
def test_most_lists_are_brought_up_to_date_where_little_changes(tmp_path: Path, model: str, drift: float) -> None:
    told = nights(tmp_path, model, config(12), 3, 0.02, drift)
    assert told["kept"] > 0.8 * told["users"]
    assert told["pairs"] < (0.6 if drift else 0.5) * told["users"] * 80
    assert told["full"] + told["kept"] == told["users"]


def test_a_search_on_a_device_gives_the_same_rows(tmp_path: Path, model: str) -> None:
    rng, how = np.random.default_rng(5), config(12)
    world = first_night(rng)
    users = table(world)
    for learnt in (None, model):
        index = laid(tmp_path / f"index-{learnt is None}", world, learnt, 0)
        search = Search(index, how.retrieve, engine=partial(top_k_torch, device="cpu"))
        assert Retriever(index, how, search).rows(users).equals(Retriever(index, how).rows(users))


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    index = laid(tmp_path / "index", first_night(np.random.default_rng(0)), None, 0)
    with pytest.raises(MachineError, match=r"retrieve.device is cuda:0, but torch sees no GPU on this worker: mend"):
        Search(index, config(1).retrieve, device="cuda:0")


def test_lists_of_other_markets_or_models_or_unfinished_ones_are_not_used(tmp_path: Path, model: str) -> None:
    world, how = first_night(np.random.default_rng(0)), config(12)
    index = laid(tmp_path / "index", world, None, 0)
    search = Search(index, how.retrieve, keep=True)
    Retriever(index, how, search).rows(table(world))
    search.save(str(tmp_path / "lists"))
    assert whole(str(tmp_path / "lists")) is None
    assert Search(index, how.retrieve, old=str(tmp_path / "lists")).kept is None
    list(finish_lists(str(tmp_path / "lists"), str(index.folder)))
    assert Search(index, how.retrieve, old=str(tmp_path / "lists")).kept is not None
    learnt = laid(tmp_path / "learnt", world, model, 0)
    assert Search(learnt, how.retrieve, old=str(tmp_path / "lists")).kept is None
    (Path(index.folder) / "meta.json").unlink()
    assert Search(index, how.retrieve, old=str(tmp_path / "lists")).kept is None
    assert json.loads((tmp_path / "lists" / "meta.json").read_text())["index"] == str(index.folder)


def test_kept_files_hold_no_user(tmp_path: Path) -> None:
    world, how = first_night(np.random.default_rng(0)), config(12)
    search = Search(laid(tmp_path / "index", world, None, 0), how.retrieve, keep=True)
    Retriever(search.index, how, search).rows(table(world))
    search.save(str(tmp_path / "lists"))
    assert [path.name for path in sorted((tmp_path / "lists").iterdir())] == ["part-00000.arrow", "told-00000.json"]
    assert not any(b"u01" in path.read_bytes() for path in (tmp_path / "lists").iterdir())


def test_the_rise_that_is_chosen_weighs_items_against_lists_that_fall_short() -> None:
    rises = np.concatenate([np.zeros(990), np.full(10, 5.0)])
    assert best_rise(rises, np.full(100, 1.0), (0.5, 0.99)) == (0.0, 0.01)
    assert best_rise(rises, np.zeros(100), (0.5, 0.99))[1] == 1.0  # no list has room
    assert best_rise(rises, np.full(100, 9.0), (0.5, 0.99)) == (5.0, 0.0)
    assert best_rise(np.zeros(0), np.ones(3), (0.5,)) == (0.0, 0.0)
