"""What benches of lists share: gains of users, references beside xlrec, paired intervals, bars met or missed."""

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from deltalake import DeltaTable
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from xlrec.kernels.evaluation import bootstrap

K = 10
Lists = dict[str, list[str]]
Truth = dict[str, set[str]]
Floats = NDArray[np.float64]
_DISCOUNTS = 1 / np.log2(np.arange(2, K + 2))
_IDEAL = np.cumsum(_DISCOUNTS)


class Bar(NamedTuple):
    """What some users' lists are held against."""

    name: str
    ours: Floats
    """(n,) NDCG@10 of each user."""
    others: dict[str, Floats]
    """Of the references, of the same users."""
    factor: float
    """Of the best reference's mean, to be reached; 1: within the interval, unless `ahead`."""
    ahead: bool
    """The interval of the difference to the best must lie above 0."""


def night(config: Path, lake: Path, *settings: str) -> float:
    """Runs a night on a fresh lake as a user does; its seconds."""
    began = perf_counter()
    command = [sys.executable, "-m", "xlrec.cli", "run", "--config", str(config), "--set", f"lake={lake}"]
    for one in settings:
        command += ["--set", one]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # our own program
    return perf_counter() - began


def lists_of(lake: Path) -> Lists:
    """The lists of the newest run."""
    rows = DeltaTable(str(lake / "recommendations")).to_pandas(columns=["run_id", "user_id", "rank", "item_id"])
    rows = rows[(rows.run_id == rows.run_id.max()) & (rows["rank"] <= K)].sort_values(["user_id", "rank"])
    return {str(user): items.tolist() for user, items in rows.groupby("user_id").item_id}


def ndcg(lists: Lists, truth: Truth) -> Floats:
    """(n_users,) NDCG@10 of each user of the truth, by user id; 0 without a list."""
    found = []
    for user in sorted(truth):
        hits = np.array([item in truth[user] for item in lists.get(user, [])[:K]], dtype=bool)
        found.append(float((_DISCOUNTS[: len(hits)] * hits).sum() / _IDEAL[min(K, len(truth[user])) - 1]))
    return np.array(found)


def interval(values: Floats) -> tuple[float, float, float]:
    """Mean and 95 % Poisson bootstrap interval."""
    weights = bootstrap.poisson_weights(np.arange(len(values)), 0, 2000)
    sums = bootstrap.replicate_sums(weights, values[:, None])[:, 0]
    return (float(values.mean()), *bootstrap.percentile_interval(bootstrap.replicate_means(sums, weights.sum(axis=0))))


def table_of(title: str, bars: list[Bar]) -> tuple[Table, list[dict[str, Any]]]:
    """The bars for people and for machines."""
    table = Table(title=title)
    for name in ("on", "users", "xlrec", "best other", "", "xlrec minus it", "aim", "met"):
        table.add_column(name, justify="left" if name in ("on", "best other", "met") else "right")
    rows = []
    for bar in bars:
        best = max(bar.others, key=lambda name, bar=bar: float(bar.others[name].mean()))
        ours, theirs = interval(bar.ours), float(bar.others[best].mean())
        gain, aim = interval(bar.ours - bar.others[best]), bar.factor * theirs
        met = gain[2] >= 0 if bar.factor == 1 and not bar.ahead else ours[0] >= aim and (gain[1] > 0 or not bar.ahead)
        rows.append({
            "on": bar.name, "users": len(bar.ours), "xlrec": ours, "best": best, "best_ndcg": theirs, "minus": gain,
            "aim": aim, "met": bool(met), "others": {name: float(each.mean()) for name, each in bar.others.items()},
        })  # fmt: skip
        table.add_row(
            bar.name, f"{len(bar.ours):,}", f"{ours[0]:.4f}", best, f"{theirs:.4f}",
            f"{gain[0]:+.4f} [{gain[1]:+.4f}, {gain[2]:+.4f}]", f"{aim:.4f}", "yes" if met else "NO",
        )  # fmt: skip
    return table, rows


def show(tables: list[tuple[Table, list[dict[str, Any]]]], file: str | None) -> None:
    """Prints tables, and writes their rows."""
    for table, _ in tables:
        Console(width=140).print(table)
    if file:
        whole = [{"title": str(table.title), "rows": rows} for table, rows in tables]
        Path(file).write_text(json.dumps(whole, indent=1), encoding="utf-8")


def truth_of(rows: pd.DataFrame) -> Truth:
    """Items by user."""
    return {str(user): set(items) for user, items in rows.groupby("user_id").item_id}
