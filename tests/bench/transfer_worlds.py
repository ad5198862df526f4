"""What transfer reaches in planted worlds: six markets and languages, one of them the target, a row per seed.

python tests/bench/transfer_worlds.py 101 102 103
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
SHARE, SHARE_OF_ALL = 0.05, 2 / 3


def main(seeds: list[int]) -> None:
    """Prints a row per world, and in how many each bar is met."""
    from worlds.market import planted
    from worlds.transfers import SOURCES, TARGET, WORLD, mean_ndcg, ndcg_difference, planted_experiment

    from xlrec.training.transfer import FEW_SHOT, KEPT, POPULARITY, TEXT, ZERO_SHOT
    from xlrec.training.transfer.domains import domains_by_market
    from xlrec.training.transfer.strategies import STRATEGIES, TARGET_ONLY

    zero = (ZERO_SHOT, 0.0)
    bars = {
        "of kept": lambda made: mean_ndcg(made, zero) / mean_ndcg(made, (KEPT, 1.0)) - SHARE_OF_ALL,
        "of best": lambda made: (
            mean_ndcg(made, zero) / max(mean_ndcg(made, (way.name, 1.0)) for way in STRATEGIES) - SHARE_OF_ALL
        ),
        "− popularity": lambda made: ndcg_difference(made, zero, (POPULARITY, 1.0)).low,
        "− texts": lambda made: ndcg_difference(made, zero, (TEXT, 0.0)).low,
        "5 % − alone": lambda made: ndcg_difference(made, (FEW_SHOT, SHARE), (TARGET_ONLY.name, SHARE)).low,
        "5 % − none": lambda made: ndcg_difference(made, (FEW_SHOT, SHARE), zero).low,
        "5 % − none, mean": lambda made: ndcg_difference(made, (FEW_SHOT, SHARE), zero).value,
        "5 % not behind": lambda made: ndcg_difference(made, (KEPT, SHARE), zero).high,
    }
    table = Table(title="zero-shot NDCG@10, its ratio less two thirds, and lower ends of paired 95 % intervals")
    for name in ("seed", "zero-shot", *bars):
        table.add_column(name, justify="right")
    met = dict.fromkeys(bars, 0)
    for seed in seeds:
        items, logs, _ = planted(**{**WORLD, "seed": seed})
        made = planted_experiment(domains_by_market(logs, items, SOURCES, TARGET))
        made.run()
        found = {name: bar(made) for name, bar in bars.items()}
        for name, value in found.items():
            met[name] += value >= 0
        table.add_row(str(seed), f"{mean_ndcg(made, zero):.3f}", *(f"{value:+.3f}" for value in found.values()))
        print(seed, {name: round(value, 4) for name, value in found.items()}, file=sys.stderr, flush=True)  # noqa: T201
    table.add_row("met", "", *(f"{n} of {len(seeds)}" for n in met.values()))
    Console(width=140).print(table)


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or list(range(101, 109)))
