"""A night that brings the last night's lists up to date beside one that searches everything: same rows, one thread.

    python tests/bench/incremental.py --json .cache/bench/incremental.json     # part of make bench

Invented items and a model of random weights: adapted texts and residuals of 244 numbers, popularity in 8 markets by
Zipf's law, freshness. The second night has 1 % new items, and 1 % of the users chose something. `held` leaves
popularity and freshness as they were; `moved` decays both by a day and adds that day's events.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from measure import Row, machine, minima, one_thread, report

one_thread()

# ruff: noqa: E402  # threads are set before numpy and torch come in
import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from xlrec.kernels.attention import N_AGES, N_LENGTHS, N_PLACES
from xlrec.recommenders.hybrid import HybridModel

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.index_learnt import finish, write_shard
from xlrec.index_writer import write_arrays
from xlrec.searches import Search
from xlrec.searches import finish as finish_lists
from xlrec.stages.retrieve import Retriever

DIM, TEXT_DIM, DAY, PRIOR = 244, 256, 86_400e6, 200.0
MARKETS = tuple(f"M{num}" for num in range(7))
LANGUAGES = ("aa", "bb", "cc", "dd")


class World(NamedTuple):
    """Items by id order: vectors, weight of events in each market, first moments."""

    ids: list[str]
    texts: Any
    counts: Any
    first: Any


def popularity(counts: Any) -> Any:
    """(n_markets + 1, n) as `recommenders.popularity` has it; the last is everywhere's."""
    share = counts.sum(axis=0) / counts.sum()
    here = (counts + PRIOR * share) / (counts.sum(axis=1, keepdims=True) + PRIOR)
    return np.vstack([here, share])


def unit(rng: np.random.Generator, n: int) -> Any:
    vectors = rng.standard_normal((n, TEXT_DIM)) * np.arange(1, TEXT_DIM + 1) ** -0.4
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def model_in(folder: Path, ids: list[str], rng: np.random.Generator) -> str:
    """An artefact of random weights of the size that training gives them."""
    n = len(ids)
    shapes = {
        "adapter_out": (TEXT_DIM, DIM), "adapter_in": (TEXT_DIM, DIM), "residual_out": (n, DIM),
        "residual_in": (n, DIM), "bias": (n,), "gate": (TEXT_DIM,), "places": (N_PLACES,), "ages": (N_AGES,),
        "lengths": (N_LENGTHS,),
    }  # fmt: skip
    arrays = {name: (0.3 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    arrays["scalars"] = np.array([1.0, 0.5, 0.4, 0.3, 0.5], dtype=np.float32)
    HybridModel(arrays, pa.array(ids), {"text_dim": TEXT_DIM, "max_history": 30}).save(folder)
    return str(folder)


def laid(folder: Path, world: World, model: str, night: float) -> ItemIndex:
    """The index of a night."""
    popular = popularity(world.counts)
    rows = [
        (market, num, float(popular[at, num]))
        for at, market in enumerate((*MARKETS, "ZZ"))
        for num in np.flatnonzero(popular[at] > 0)
    ]
    n = len(world.ids)
    speaks = [[LANGUAGES[int(name[1:]) // 2 % len(LANGUAGES)]] for name in world.ids]
    write_arrays(folder, item_ids=world.ids, vectors=world.texts, languages=speaks, popularity=rows)
    rows_each = ItemIndex.open(str(folder)).shard_rows
    for shard in range(-(-n // rows_each)):
        write_shard(str(folder), model, shard, world.first[shard * rows_each : (shard + 1) * rows_each], night * DAY)
    finish(str(folder), model)
    return ItemIndex.open(str(folder))


def users(logs: list[list[str]], ids: list[str]) -> pa.Table:
    """Users in turn of the markets, by what they chose, oldest first."""
    nums = {name: num for num, name in enumerate(ids)}
    n = len(logs)
    log = [
        [{"micros": int(at * DAY), "item_num": nums[name], "weight": 1.0} for at, name in enumerate(one)]
        for one in logs
    ]
    kind = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))
    columns: dict[str, Any] = {
        "user_id": [f"u{num:06d}" for num in range(n)], "market": [MARKETS[num % 7] for num in range(n)],
        "languages": pa.array([[LANGUAGES[num % 4]] for num in range(n)]),
        "language_weights": pa.array([[1.0]] * n), "log": pa.array(log, kind),
    }  # fmt: skip
    return pa.table(columns)


def both(
    index: ItemIndex, config: Config, table: pa.Table, kept: str, told: Counter[str]
) -> tuple[Callable[[], pa.Table], Callable[[], pa.Table]]:
    """The retrieval in full, and from what was kept; `told` gets what the last one counted."""
    retriever = Retriever(index, config)

    def incremental() -> pa.Table:
        search = Search(index, config.retrieve, old=kept, keep=True)
        found = Retriever(index, config, search).rows(table)
        told.clear()
        told.update(search.told)
        return found

    return lambda: retriever.rows(table), incremental


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=2048)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    config = Config.model_validate({"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": 50})
    n, n_new = args.items, args.items // 100
    zipf = rng.permutation(1 / np.arange(1, n + 1))
    counts = rng.poisson(zipf / zipf.sum() * 1e6, (len(MARKETS), n)).astype(float)
    ids = [f"i{2 * num:07d}" for num in range(n)]
    first = World(ids, unit(rng, n), counts, -rng.exponential(60, n) * DAY)
    logs = [[ids[num] for num in rng.choice(n, 10, p=zipf / zipf.sum())] for _ in range(args.users)]
    later = [[*one, ids[rng.integers(n)]] if rng.random() < 0.01 else one for one in logs]
    fresh = [f"i{2 * num + 1:07d}" for num in rng.choice(n, n_new, replace=False)]
    order = np.argsort([*ids, *fresh])
    texts = np.vstack([first.texts, unit(rng, n_new)])[order]
    names = [[*ids, *fresh][at] for at in order]
    none = np.zeros((len(MARKETS), n_new))
    today = rng.poisson(zipf / zipf.sum() * 1e4, counts.shape)
    held = World(names, texts, np.hstack([counts, none])[:, order], np.append(first.first, np.zeros(n_new))[order])
    moved = held._replace(counts=np.hstack([counts * 0.5 ** (1 / 30) + today, none])[:, order])
    rows, facts = [], {"machine": machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = model_in(folder / "model", ids, rng)
        old, kept = laid(folder / "old", first, model, 0.0), str(folder / "lists")
        search = Search(old, config.retrieve, keep=True)
        Retriever(old, config, search).rows(users(logs, ids))
        search.save(kept)
        list(finish_lists(kept, str(old.folder)))
        for what, world, night, aim in (("held", held, 0.0, 0.15), ("moved", moved, 1.0, 0.4)):
            index = laid(folder / what, world, model, night)
            table, told = users(later, names), Counter[str]()
            full, incremental = both(index, config, table, kept, told)
            same = incremental().equals(full())
            least = minima({"full": full, "incremental": incremental}, args.rounds)
            rows.append(
                Row(
                    f"retrieval, popularity {what}",
                    "of a full night's time",
                    least["incremental"] / least["full"],
                    aim,
                    "×",
                    True,
                )
            )
            rows.append(Row("pairs scored", "of all", told["pairs"] / (args.users * len(names)), 0.03, "×", True))
            facts[what] = {
                "same rows": same,
                **told,
                "µs a user": {k: round(v / args.users * 1e6) for k, v in least.items()},
            }
    facts["load after"] = machine()["load"]
    report(f"Incremental nights, {args.users:,} users × {n + n_new:,} items × 256, k = 50", rows, facts, args.json)


if __name__ == "__main__":
    main()
