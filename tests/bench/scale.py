"""What a night would take on clusters that nobody here has: the plan's arithmetic, from what is measured here.

    python tests/bench/scale.py CONFIG [--write]

Rates are measured here by the plan's trials; bytes are those of the index's layout, of what shuffles wrote in the event
log of a night, and of what the driver learns on. `--write` puts the table into conf/README.md.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from pages import put
from rich.console import Console

from xlrec.config.loading import load
from xlrec.config.models import Config
from xlrec.planning.costs import Case, Estimate, Machine, estimate
from xlrec.planning.plan import heap_of, plan
from xlrec.reporting.plan import duration, size

PAGE: Final = Path(__file__).resolve().parents[2] / "conf/README.md"
#: Cores of a machine of the cluster; its memory, and the driver's.
CORES: Final = 16
MEMORY: Final = 256 << 30


class Cluster(NamedTuple):
    """One row."""

    users: int
    items: int
    machines: int


ROWS: Final = (Cluster(1_000_000, 100_000, 2), Cluster(10_000_000, 1_000_000, 16), Cluster(100_000_000, 10_000_000, 64))


def on(case: Case, cluster: Cluster) -> Estimate:
    """The night of as many users and items, with histories and texts as in the case."""
    sizes = case.sizes.scaled(cluster.users, cluster.items)
    return estimate(replace(case, sizes=sizes, machine=Machine(CORES * cluster.machines, CORES)))


def most_items(case: Case, needed: Callable[[Estimate], int]) -> int:
    """Items up to which the night of the largest cluster needs no more than MEMORY of something, by halving."""
    low, high = 1_000.0, 1e9
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        fits = needed(on(case, ROWS[-1]._replace(items=int(middle)))) <= MEMORY
        low, high = (middle, high) if fits else (low, middle)
    return int(round(low, 2 - len(str(int(low)))))


def table(config: Config) -> str:
    """Markdown; every row has rates of its own, for those of small matrices say nothing of large ones."""
    head = ["users × items", "machines", "night", "shuffles", "fetched by each executor", "memory of its machine",
            "memory of the driver", "disk of the driver"]  # fmt: skip
    rows, heap = list[list[str]](), heap_of(config)
    for cluster in ROWS:
        case = plan(config, users=cluster.users, items=cluster.items).case
        whole = on(case, cluster)
        told = whole.shuffled, whole.shared, whole.executor_memory(heap), whole.driver_memory(heap), whole.driver_disk
        where = [f"{cluster.users:,} × {cluster.items:,}", f"{cluster.machines} of {CORES} cores"]
        rows.append([*where, duration(whole.seconds), *map(size, told)])
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
    driver = most_items(case, lambda whole: whole.driver_memory(heap))
    executor = most_items(case, lambda whole: whole.executor_memory(heap))
    first = "the driver, which learns the factors and joins the index" if driver < executor else "the executors' index"
    full = f"the driver's memory is full at about {driver:,} items, an executor's machine at about {executor:,}"
    return "\n".join([*lines, "", f"With {MEMORY >> 30} GiB a machine, the first to break is {first}: {full}."])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = table(load(options.config, []))
    Console(width=200).print(found, markup=False)
    if options.write:
        put(PAGE, "bench-scale", found)


if __name__ == "__main__":
    main()
