"""Seconds and memory of the recommender's training as the logs grow: planted worlds, one thread.

python tests/bench/training_cost.py 10000 20000 40000
"""

import resource
import sys
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.training.recommender.loop import Task, train_epochs

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
EPOCHS = 2


def main(sizes: list[int]) -> None:
    """Prints a row per number of users."""
    from planted_market import planted

    torch.set_num_threads(1)
    table = Table(title=f"5,000 items, 6 markets, dim {HybridConfig().dim}, one thread")
    for name in ("users", "visits", "s an epoch", "s per million visits and epoch", "MB, peak"):
        table.add_column(name, justify="right")
    for n_users in sizes:
        items, logs = planted(n_users=n_users, n_items=5000, n_markets=6, n_topics=20)[:2]
        began = perf_counter()
        train_epochs(Task(logs, items, HybridConfig(), PopularityConfig(), 0), EPOCHS, lambda _: None)
        seconds, n_visits = (perf_counter() - began) / EPOCHS, len(logs.visits.nums)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        table.add_row(
            f"{n_users:,}", f"{n_visits:,}", f"{seconds:.1f}", f"{seconds / n_visits * 1e6:.0f}", f"{peak:,.0f}"
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [10_000, 20_000, 40_000])
