"""What each part of the learnt recommender is worth, and what it does with items that it was never taught.

    xlrec evaluate --config conf/movielens.yaml
    python tests/bench/ablations.py .cache/movielens/lake --config conf/movielens.yaml

Reads the training shards and the item index that `xlrec evaluate` left in the lake, holds out each user's newest
meeting and, for the last columns, every tenth item altogether. The model serves alone, without co-visitation and
fusion. Means over
some seeds; one thread.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from xlrec.index import ItemIndex
from xlrec.settings import load
from xlrec.training.recommender import learn, loop
from xlrec.training.recommender.logs import Logs, chosen, items_of, only, read_shards
from xlrec.training.recommender.scoring import Truth, masked, scores_of, served, truth_after

WHOLE = "whole"
ZEROED = {
    "without attention": ("places", "ages", "gate"),
    "without popularity": ("popularity",),
    "without freshness": ("freshness",),
    "without languages": ("language",),
}
CHANGED: dict[str, dict[str, Any]] = {
    "without residual": {"residual_dropout": 1.0},
    "without adapter": {"adapter_rate": 1e-12},
    "without residual dropout": {"residual_dropout": 0.0},
}
VARIANTS = (WHOLE, *CHANGED, *ZEROED, "without logQ")


def trainer_of(variant: str) -> type[loop.Trainer]:
    """The trainer with a part of the model held at nothing."""

    class Ablated(loop.Trainer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._hold()

        def _hold(self) -> None:
            dense = self.network.dense
            with torch.no_grad():
                for name in ZEROED.get(variant, ()):
                    (dense[name] if name in dense else self.network.scalar(name)).zero_()
                if variant == "without attention":
                    self.network.scalar("weight").zero_()

        def _step(self, *arguments: Any) -> float:
            found = super()._step(*arguments)
            self._hold()
            return found

        def _candidates(self, *arguments: Any) -> Any:
            nums, chances = super()._candidates(*arguments)
            return nums, chances * 0 if variant == "without logQ" else chances

    return Ablated


@contextmanager
def ablated(variant: str) -> Iterator[None]:
    """Training in the block lacks a part."""
    before = loop.Trainer
    loop.Trainer = trainer_of(variant)  # type: ignore[misc]
    try:
        yield
    finally:
        loop.Trainer = before  # type: ignore[misc]


def newest_held(logs: Logs, most: int) -> tuple[Logs, Truth]:
    """The logs without each user's newest moment, and what was met in it."""
    owner = logs.visits.owners
    cuts = np.full(logs.n_users, np.inf)
    newest = np.full(logs.n_users, -np.inf)
    np.maximum.at(newest, owner, logs.visits.micros)
    cuts = np.where(np.isfinite(newest), newest, cuts)
    truth = truth_after(logs, cuts, float(logs.visits.micros.max()) + 1, most, 0)
    return only(logs, np.ones(logs.n_users, dtype=np.bool_), cuts), truth


def recall(scores: NDArray[np.float64], truth: Truth, first: int, of: NDArray[np.bool_], k: int) -> list[float]:
    """Recall@k of the relevant items among `of`, for users who have some."""
    found = []
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    for row in range(len(scores)):
        relevant = truth.nums[truth.indptr[first + row] : truth.indptr[first + row + 1]]
        relevant = relevant[of[relevant]]
        if len(relevant):
            found.append(float(np.isin(relevant, best[row]).mean()))
    return found


def figures(task: loop.Task, ids: Any, truth: Truth, cold: NDArray[np.bool_]) -> dict[str, float]:
    """NDCG@10 of the model, and with the cold items never taught, recall@20 of them beside text and popularity."""
    began = perf_counter()
    model = learn(task, ids, {}, lambda _: None)
    seconds = perf_counter() - began
    rows = model.taught(ids)
    found = {"ndcg": float(loop.measure(model, rows, task, truth).mean()), "seconds": seconds}
    untaught = replace(task, logs=chosen(task.logs, ~cold[task.logs.visits.nums], ~cold[task.logs.event_nums]))
    model = learn(untaught, ids, {}, lambda _: None)
    what = served(model, model.taught(ids), task.items, untaught.logs, truth.moment, task.popularity)
    kinds: dict[str, list[float]] = {"cold": [], "cold_text": [], "cold_popular": []}
    for at in range(0, len(truth.users), 256):
        users = truth.users[at : at + 256]
        kinds["cold"] += recall(scores_of(model, what, task.items, untaught.logs, users), truth, at, cold, 20)
        some = untaught.logs.visits.of(users)
        owner = some.owners
        means = np.zeros((len(users), task.items.texts.shape[1]))
        newest = some.indptr[owner + 1] - 1 - np.arange(len(owner))
        np.add.at(means, owner, task.items.texts[some.nums] * (0.5 ** (newest / 10))[:, None])
        text = masked(means @ task.items.texts.T.astype(np.float64), task.items, untaught.logs, users)
        kinds["cold_text"] += recall(text, truth, at, cold, 20)
        popular = masked(what.priors[task.logs.markets[users]].astype(np.float64), task.items, untaught.logs, users)
        kinds["cold_popular"] += recall(popular, truth, at, cold, 20)
    return found | {name: float(np.mean(values)) if values else float("nan") for name, values in kinds.items()}


def main(arguments: list[str]) -> None:
    """Prints the table of a lake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", help="folder in which `xlrec evaluate` ran")
    parser.add_argument("--config", required=True, help="config of that run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="key=value, as for xlrec")
    parser.add_argument("--variants", nargs="*", default=VARIANTS, help=f"some of: {', '.join(VARIANTS)}")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    config = load(options.config, options.set, env={})
    index = ItemIndex.open(f"{options.lake}/_evaluation/_index/own")
    logs = read_shards(f"{index.folder}/logs", index)
    first = np.full(index.n_items, np.inf)
    np.minimum.at(first, logs.event_nums, logs.event_micros)
    items = items_of(index, np.where(np.isfinite(first), first, np.nan))
    history, truth = newest_held(logs, 4000)
    cold = np.random.default_rng(5).random(index.n_items) < 0.1
    table = Table(title=f"{len(truth.users):,} users · {index.n_items:,} items · {len(history.visits.nums):,} visits")
    for name in ("variant", "NDCG@10", "cold recall@20", "text alone", "popularity alone", "seconds"):
        table.add_column(name, justify="left" if name == "variant" else "right")
    rows = []
    for variant in options.variants:
        hybrid = config.train.hybrid.model_copy(update=CHANGED.get(variant, {}))
        with ablated(variant):
            runs = [
                figures(loop.Task(history, items, hybrid, config.train.popularity, seed), index.item_ids, truth, cold)
                for seed in range(options.seeds)
            ]
        mean = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        rows.append({"variant": variant, **mean})
        names = ("ndcg", "cold", "cold_text", "cold_popular")
        table.add_row(variant, *(f"{mean[name]:.4f}" for name in names), f"{mean['seconds']:.0f}")
    Console(width=120).print(table)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
