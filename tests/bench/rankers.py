"""Plain weighted fusion beside LightGBM lambdaranks over the same candidates, on users and days that no ranker saw.

    xlrec train-ranker --config conf/demo.yaml
    xlrec evaluate --config conf/demo.yaml
    python tests/bench/rankers.py .cache/demo/lake --config conf/demo.yaml

The rankers learn from the shortlists of the inner split, which `train-ranker` left in the lake, and are scored on those
of the holdout, which `evaluate` left there: NDCG@10 of the shortlist's order, before diversity and languages, with the
paired difference to the fusion. The first is what `train-ranker` learns; the others are larger than it ever learns.
Then what a user costs on one thread: retrieval, and the list by each.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable
from numpy.typing import NDArray
from quality import interval
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.kernels.bootstrap import poisson_weights
from xlrec.kernels.ranking import NAMES
from xlrec.recommenders.ranking import RankingModel
from xlrec.settings import load
from xlrec.stages.rank.examples import examples_of
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.reranking import Reranker
from xlrec.stages.rank.users import users_of
from xlrec.stages.retrieve import Retriever
from xlrec.training.ranker.examples import Examples, K, of_table
from xlrec.training.ranker.examples import read as read_examples
from xlrec.training.ranker.trees import Setting, fit, taught

LOG = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))
#: Setting and number of the trees that are tried beside the product's choice.
LARGER = ((Setting(7, 0.05), 100), (Setting(15, 0.05), 100), (Setting(15, 0.03), 300))
_ROUNDS = 3


class Evaluated(NamedTuple):
    """What an evaluation left, as the stages take it."""

    index: ItemIndex
    asked: pa.Table
    """Users of the holdout with their logs, by user_id."""
    truth: list[list[int]]


def read(lake: str) -> Evaluated:
    """The users of an evaluation's holdout."""
    apart = f"{lake}/_evaluation"
    tables = {name: DeltaTable(f"{apart}/{name}").to_pandas() for name in ("events", "holdout", "users")}
    truth = tables["holdout"].groupby("user_id").item_num.apply(list).to_dict()
    users = tables["users"][tables["users"].user_id.isin(truth)].sort_values("user_id")
    asked = pa.table(
        {
            "user_id": pa.array(users.user_id),
            "market": pa.array(users.market),
            "languages": pa.array([list(row) for row in users.languages], pa.list_(pa.string())),
            "language_weights": pa.array([list(row) for row in users.language_weights], pa.list_(pa.float64())),
            "log": pa.array(logs_of(tables["events"], users.user_id), LOG),
        }
    )
    return Evaluated(ItemIndex.open(f"{apart}/_index/own"), asked, [truth[name] for name in users.user_id])


def logs_of(events: pd.DataFrame, names: "pd.Series[str]") -> list[Any]:
    """Each user's events as retrieval takes them."""
    micros = events.timestamp.astype("datetime64[us, UTC]").astype("int64")
    frame = pd.DataFrame(
        {"user": events.user_id, "micros": micros, "item_num": events.item_num, "weight": events.weight}
    )
    by_user = {name: part.drop(columns="user").to_dict("records") for name, part in frame.groupby("user")}
    return [by_user.get(name) for name in names]


def examples(world: Evaluated, config: Config) -> Examples:
    """Shortlists with what was chosen."""
    (batch,) = Retriever(world.index, config).rows(world.asked).combine_chunks().to_batches()
    hashes = pa.array(np.random.default_rng(0).integers(0, 2**62, batch.num_rows))
    relevant = pa.array(world.truth, pa.list_(pa.int32()))
    return of_table(pa.Table.from_batches([examples_of(batch, relevant, hashes, Ranker(world.index, config))]))


def costs(world: Evaluated, config: Config, boosters: dict[str, Any]) -> dict[str, float]:
    """Milliseconds a user of each step, the best of some rounds."""
    retriever, plain = Retriever(world.index, config), Ranker(world.index, config)
    (batch,) = retriever.rows(world.asked).combine_chunks().to_batches()
    users = users_of(batch, plain.weights)

    def timed(step: Callable[[], Any]) -> float:
        step()
        began, best = perf_counter(), np.inf
        for _ in range(_ROUNDS):
            began = perf_counter()
            step()
            best = min(best, perf_counter() - began)
        return best / batch.num_rows * 1e3

    found = {
        "retrieve": timed(lambda: retriever.rows(world.asked)),
        "rank, weighted fusion": timed(lambda: plain.lists_of(users)),
    }
    for name, booster in boosters.items():
        learnt = Ranker(world.index, config)
        learnt.reranker = Reranker(RankingModel(booster.model_to_string(), {}), learnt.features, learnt.shortlist)
        found[f"rank, {name}"] = timed(partial(learnt.lists_of, users))
    return found


def main(arguments: list[str]) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", help="folder in which `xlrec train-ranker` and `xlrec evaluate` ran")
    parser.add_argument("--config", required=True)
    options = parser.parse_args(arguments)
    config, console = load(options.config, ["rank.ranker=null"], env={}), Console(width=120)
    world = read(options.lake)
    inner, outer = read_examples(f"{options.lake}/_ranker/examples"), examples(world, config)
    everyone = np.ones(len(inner.hashes), dtype=np.bool_)
    booster, choice = taught(inner, everyone, 0)
    boosters = {f"train-ranker: {choice.n_trees} trees of {choice.setting.leaves} leaves": booster}
    for setting, n_trees in LARGER:
        boosters[f"{n_trees} trees of {setting.leaves} leaves"] = fit(inner, everyone, setting, n_trees, 0)
    systems = {"weighted fusion": outer.ndcg(), "learnt alone": outer.ndcg(outer.features[:, NAMES.index("similar")])}
    systems |= {name: outer.ndcg(one.predict(outer.features, num_threads=1)) for name, one in boosters.items()}
    console.print(compared(systems, f"{len(inner.hashes):,} users to learn from, {len(outer.hashes):,} users scored"))
    with threadpool_limits(1):
        found = costs(world, config, boosters)
    shown = Table("step", "ms a user", title=f"{world.index.n_items:,} items, k = {config.k}, one thread")
    for name, value in found.items():
        shown.add_row(name, f"{value:.3f}")
    console.print(shown)


def compared(systems: dict[str, NDArray[np.float64]], title: str) -> Table:
    """Means with intervals, and paired differences to the fusion."""
    weights = poisson_weights(np.arange(len(systems["weighted fusion"])), 0, 2000)
    table = Table(title=title)
    for name in ("ranker", f"NDCG@{K}", "minus the fusion"):
        table.add_column(name, justify="left" if name == "ranker" else "right")
    for name, values in systems.items():
        mean, low, high = interval(values, weights)
        gain = interval(values - systems["weighted fusion"], weights)
        shown = "" if name == "weighted fusion" else f"{gain[0]:+.4f} [{gain[1]:+.4f}, {gain[2]:+.4f}]"
        table.add_row(name, f"{mean:.4f} [{low:.4f}, {high:.4f}]", shown)
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
