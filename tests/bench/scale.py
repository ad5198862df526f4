"""Forecast of a night on clusters that are not at hand: the plan's arithmetic, with the search rate of this machine.

    python tests/bench/scale.py CONFIG [--write]

`--write` puts the table into conf/README.md.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from pages import put
from rich.console import Console
from rich.filesize import decimal

from xlrec.config.loading import load_config
from xlrec.planning.night import Cluster, Forecast, Night, forecast_cost, plan_night
from xlrec.runtime.progress import duration_text

PAGE: Final = Path(__file__).resolve().parents[2] / "conf/README.md"
#: Cores of a machine of the cluster; its memory, and the driver's.
CORES: Final = 16
MEMORY: Final = 256 << 30
#: Users, items, machines.
ROWS: Final = ((1_000_000, 100_000, 2), (10_000_000, 1_000_000, 16), (100_000_000, 10_000_000, 64))
HEAD: Final = (
    "users × items", "machines", "night", "shuffles", "fetched by each executor", "memory of its machine",
    "memory of the driver", "disk of the driver",
)  # fmt: skip


def cost_of(night: Night, users: int, items: int, machines: int) -> Forecast:
    """Cost of the night with other sizes on a cluster."""
    sizes, cluster = night.sizes.scale(users, items), Cluster(machines, CORES, MEMORY)
    return forecast_cost(replace(night, sizes=sizes, cluster=cluster, last=None))


def most_items(night: Night, needed: Callable[[Forecast], int]) -> int:
    """Items up to which the night of the largest cluster needs no more than MEMORY of something, by halving."""
    low, high, (users, _, machines) = 1_000.0, 1e9, ROWS[-1]
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        fits = needed(cost_of(night, users, int(middle), machines)) <= MEMORY
        low, high = (middle, high) if fits else (low, middle)
    return int(round(low, 2 - len(str(int(low)))))


def cluster_table(night: Night) -> str:
    """Markdown: a row per cluster, and the part whose memory is full first."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for users, items, machines in ROWS:
        cost = cost_of(night, users, items, machines)
        n_bytes = cost.shuffle_bytes, cost.index_bytes, cost.executor_memory, cost.driver_memory, cost.driver_disk
        cells = f"{users:,} × {items:,}", f"{machines} of {CORES} cores", duration_text(sum(cost.seconds.values()))
        rows.append((*cells, *map(decimal, n_bytes)))
    driver = most_items(night, lambda cost: cost.driver_memory)
    executor = most_items(night, lambda cost: cost.executor_memory)
    first = "the driver, which learns the factors and joins the index" if driver < executor else "the executors' index"
    full = f"the driver's memory is full at about {driver:,} items, an executor's machine at about {executor:,}"
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", f"With {MEMORY >> 30} GiB a machine, the first to break is {first}: {full}."])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    table = cluster_table(plan_night(load_config(options.config, []), items=ROWS[0][1]))
    Console(width=200).print(table, markup=False)
    if options.write:
        put(PAGE, "bench-scale", table)


if __name__ == "__main__":
    main()
