"""xlrec's lists against the field's recommenders on the same split, each tuned on the same inner split.

    xlrec evaluate --config conf/movielens.yaml
    python tests/bench/quality.py .cache/movielens/lake --json out.json

Reads what `xlrec evaluate` left in the lake (history, holdout, lists, item index), and lets every peer choose its
settings on an inner split of that history, made as the outer one was. Prints NDCG@10 and recall@10 with 95 % bootstrap
intervals over users, and the paired difference to xlrec. Seen items are excluded, all eligible items are candidates.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from deltalake import DeltaTable
from judging import interval
from numpy.typing import NDArray
from peers import DAY, PEERS, Floats, Log
from rich.console import Console
from rich.table import Table

from xlrec.index.items import ItemIndex
from xlrec.kernels.evaluation import metrics

K = 10


class Split(NamedTuple):
    """A log, who is scored, what they may get, and what they chose."""

    log: Log
    users: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    """(len(users), n_items)."""
    truth: list[NDArray[np.int64]]


class World(NamedTuple):
    """What an evaluation left."""

    events: pd.DataFrame
    holdout: pd.DataFrame
    lists: pd.DataFrame
    index: ItemIndex
    markets: dict[str, str]
    kind: str


def read(lake: str) -> World:
    """The tables of the newest evaluation in a lake."""
    apart = f"{lake}/_evaluation"
    tables = {name: DeltaTable(f"{apart}/{name}").to_pandas() for name in ("events", "holdout", "users")}
    lists = DeltaTable(f"{apart}/recommendations").to_pandas(columns=["run_id", "user_id", "rank", "item_id"])
    split = DeltaTable(f"{lake}/metrics").to_pandas(columns=["split", "evaluated_at"])
    kind = str(split.sort_values("evaluated_at").split.iloc[-1]).split(":")[0]
    markets = dict(zip(tables["users"].user_id, tables["users"].market, strict=True))
    (index,) = Path(apart, "_index").glob("*-own")  # an evaluation removes those of older ones
    return World(tables["events"], tables["holdout"], lists, ItemIndex.open_folder(str(index)), markets, kind)


def split_of(world: World, events: pd.DataFrame, truth: dict[str, NDArray[np.int64]], names: list[str]) -> Split:
    """A split as arrays; users are numbered in the order of `names`."""
    numbers = {name: number for number, name in enumerate(names)}
    positive = events[events.weight > 0]
    rows = pd.DataFrame(
        {"user": positive.user_id.map(numbers), "item": positive.item_num, "micros": positive.timestamp.astype("int64")}
    )
    unit = 1000 if str(positive.timestamp.dtype).startswith("datetime64[ns") else 1
    rows = rows.sort_values(["user", "micros", "item"])
    log = Log(
        rows.user.to_numpy(), rows.item.to_numpy().astype(np.int64), rows.micros.to_numpy() // unit, len(names),
        world.index.n_items,
    )  # fmt: skip
    users = np.array(sorted(numbers[name] for name in truth))
    place = {user: row for row, user in enumerate(users)}
    allowed = np.stack([world.index.eligible(world.markets.get(names[user])) for user in users])
    seen = events[events.user_id.isin(truth)]
    allowed[seen.user_id.map(numbers).map(place).to_numpy(), seen.item_num.to_numpy()] = False
    return Split(log, users, allowed, [truth[names[user]] for user in users])


def inner_of(world: World) -> tuple[pd.DataFrame, dict[str, NDArray[np.int64]]]:
    """The history cut once more as the outer split was: by time, or each user's newest positive."""
    events = world.events
    positive = events[events.weight > 0]
    if world.kind == "time":
        cut = positive.timestamp.quantile(0.8)
        before, after = events[events.timestamp < cut], positive[positive.timestamp >= cut]
    else:
        newest = positive.sort_values(["timestamp", "item_num"], ascending=[False, True]).groupby("user_id").head(1)
        cuts = newest.set_index("user_id").timestamp
        before = events[events.timestamp < events.user_id.map(cuts).fillna(events.timestamp.max() + pd.Timedelta("1D"))]
        after = newest[newest.user_id.isin(before[before.weight > 0].user_id)]
    known = set(zip(before.user_id, before.item_num, strict=True))
    fresh = [pair not in known for pair in zip(after.user_id, after.item_num, strict=True)]
    return before, truth_of(after[fresh])


def truth_of(rows: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Relevant items by user."""
    return {name: part.to_numpy().astype(np.int64) for name, part in rows.groupby("user_id").item_num}


def best_items(scores: Floats, split: Split) -> NDArray[np.int64]:
    """(n, K) items of the scored users, best first, ties by item_num; -1 where fewer are allowed."""
    masked = np.where(split.allowed, np.asarray(scores)[split.users], -np.inf)
    order = np.argsort(-masked, axis=1, kind="stable")[:, :K]
    return np.where(np.isfinite(np.take_along_axis(masked, order, axis=1)), order, -1)


def metrics_of(items: NDArray[np.int64], truth: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(n, 2) NDCG@K and recall@K of lists that are filled up with -1."""
    sizes = np.array([len(relevant) for relevant in truth])
    hits = metrics.find_hits(items, (items >= 0).sum(axis=1), np.concatenate(truth), sizes)
    return np.stack([metrics.ndcg(hits, sizes, K), metrics.recall(hits, sizes, K)], axis=1)


def listed(world: World, system: str, names: list[str], split: Split) -> NDArray[np.int64]:
    """(n, K) items that a system of the evaluation listed."""
    numbers = {name: number for number, name in enumerate(world.index.item_ids.to_pylist())}
    rows = world.lists[(world.lists.run_id == system) & (world.lists["rank"] <= K)]
    place = {names[user]: row for row, user in enumerate(split.users)}
    rows = rows[rows.user_id.isin(place)]
    found = np.full((len(split.users), K), -1)
    found[rows.user_id.map(place).to_numpy(), rows["rank"].to_numpy() - 1] = rows.item_id.map(numbers).to_numpy()
    return found


def measured(world: World, say: Any) -> dict[str, NDArray[np.float64]]:
    """(n_users, 2) metrics of every system and peer on the holdout."""
    names = sorted(set(world.events.user_id))
    truth = {name: items for name, items in truth_of(world.holdout).items() if name in set(names)}
    outer = split_of(world, world.events, truth, names)
    inner = split_of(world, *inner_of(world), names)
    systems = [name for name in ("xlrec", "similar", "covisited", "text") if (world.lists.run_id == name).any()]
    found = {name: metrics_of(listed(world, name, names, outer), outer.truth) for name in systems}
    for name, peer in PEERS.items():
        began = perf_counter()
        tried = [
            (metrics_of(best_items(peer.scores(inner.log, **setting), inner), inner.truth)[:, 0].mean(), setting)
            for setting in peer.settings()
        ]
        score, setting = max(tried, key=lambda one: one[0])
        found[name] = metrics_of(best_items(peer.scores(outer.log, **setting), outer), outer.truth)
        say(f"{name}: inner NDCG@{K} {score:.4f} with {setting} of {len(tried)} tried, {perf_counter() - began:.0f} s")
    return found


def table_of(found: dict[str, NDArray[np.float64]], title: str) -> tuple[Table, list[dict[str, Any]]]:
    """The figures for people and for machines."""
    table = Table(title=title)
    for name in ("system", f"NDCG@{K}", f"recall@{K}", f"xlrec minus it, NDCG@{K}"):
        table.add_column(name, justify="left" if name == "system" else "right")
    rows = []
    for name, values in sorted(found.items(), key=lambda one: -one[1][:, 0].mean()):
        ndcg, recall = interval(values[:, 0]), interval(values[:, 1])
        gain = interval(found["xlrec"][:, 0] - values[:, 0])
        rows.append({"system": name, "ndcg": ndcg, "recall": recall, "xlrec_minus": gain})
        shown = "" if name == "xlrec" else f"{gain[0]:+.4f} [{gain[1]:+.4f}, {gain[2]:+.4f}]"
        table.add_row(name, f"{ndcg[0]:.4f} [{ndcg[1]:.4f}, {ndcg[2]:.4f}]", f"{recall[0]:.4f}", shown)
    return table, rows


def main(arguments: list[str]) -> None:
    """Prints the table of a lake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", help="folder in which `xlrec evaluate` ran")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args(arguments)
    console, world = Console(width=120), read(options.lake)
    found = measured(world, Console(stderr=True, width=160).print)
    days = (world.events.timestamp.max() - world.events.timestamp.min()).total_seconds() * 1e6 / DAY
    sizes = f"{len(found['xlrec']):,} users · {world.index.n_items:,} items · {days:,.0f} days"
    title = f"{Path(options.lake).parent.name}, split by {world.kind} · {sizes}"
    table, rows = table_of(found, title)
    console.print(table)
    if options.json:
        Path(options.json).write_text(json.dumps({"title": title, "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
