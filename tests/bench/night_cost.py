"""What Spark itself costs in a night: runs nights, subtracts what `xlrec plan` measures, fits the rest.

    python tests/bench/night_cost.py run record.json a.yaml b.yaml     # each into an empty lake, then calibrates
    python tests/bench/night_cost.py fit record.json --check b.yaml    # constants of the others, and b foretold by them

Needs an idle machine. The constants are what stands in `xlrec/planning/rates.py`.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from xlrec.planning import calibration, past, sizes
from xlrec.planning.costs import Case, Training, estimate, stages
from xlrec.planning.plan import machine_of
from xlrec.planning.rates import Rates, SparkCosts
from xlrec.settings import load

STAGES = ("prepare", "embed", "train", "recommend", "publish", "start, report")
PREFIXES = {"start, report": "around"}


def run(record: Path, files: list[str]) -> None:
    """Runs the nights, and adds seconds, sizes and rates to the record."""
    told = json.loads(record.read_text()) if record.exists() else {}
    for file in files:
        config = load(file, [], {})
        if Path(config.lake).exists():
            sys.exit(f"{config.lake} is there already: name an empty lake")
        whole, texts = sizes.read(config)
        began = perf_counter()
        subprocess.run([sys.executable, "-m", "xlrec.cli", "run", "--config", file], check=True)
        wall = perf_counter() - began
        night, training = past.newest_night(config), past.training(config)
        assert night is not None
        measured = calibration.measure(config, whole, texts, machine_of(config)[0].per_machine)
        seconds = {name: night.seconds[name] for name in STAGES[:-1]}
        seconds["start, report"] = wall - sum(seconds.values())
        told[file] = {
            "seconds": seconds, "sizes": asdict(whole), "rates": asdict(measured.rates), "text_dim": measured.text_dim,
            "training": asdict(training),
        }  # fmt: skip
        record.write_text(json.dumps(told, indent=1))


def case_of(file: str, told: dict[str, Any], spark: SparkCosts) -> Case:
    """The night as the plan sees it."""
    config = load(file, [], {})
    whole = sizes.Sizes(**{**told["sizes"], "histories": (), "notes": ()})
    machine, training = machine_of(config)[0], Training(**told["training"])
    return Case(config, whole, Rates(**told["rates"]), machine, training, told["text_dim"], spark)


def fit(record: dict[str, Any], files: list[str]) -> SparkCosts:
    """Non-negative least squares of relative errors, stage by stage."""
    names = [field.name for field in fields(SparkCosts)]
    none = SparkCosts(**dict.fromkeys(names, 0.0))
    found: dict[str, float] = {}
    for stage in STAGES:
        mine = [name for name in names if name.startswith(PREFIXES.get(stage, stage) + "_")]
        rows, rest = [], []
        for file in files:
            real = record[file]["seconds"][stage]
            base = estimate(case_of(file, record[file], none)).stage(stage)
            ones = [estimate(case_of(file, record[file], replace(none, **{name: 1.0}))).stage(stage) for name in mine]
            rows.append([(one - base) / real for one in ones])
            rest.append((real - base) / real)
        found |= dict(zip(mine, nnls(np.array(rows), np.array(rest))[0], strict=True))
    return SparkCosts(**found)


def compared(record: dict[str, Any], file: str, spark: SparkCosts, fitted: bool) -> Table:
    """Foretold and real seconds by stage."""
    one = case_of(file, record[file], spark)
    whole, real = estimate(one), record[file]["seconds"]
    size = f"{one.sizes.users:,} users × {one.sizes.items:,} items, k = {one.config.k}"
    table = Table("stage", title=f"{Path(file).name}: {size}{', fitted to' if fitted else ', not fitted to'}")
    for name in ("foretold", "real", "foretold / real"):
        table.add_column(name, justify="right")
    for stage in STAGES:
        told = whole.stage(stage)
        table.add_row(stage, f"{told:.1f}", f"{real[stage]:.1f}", f"{told / real[stage]:.2f}")
    total = sum(real.values())
    table.add_row("night", f"{whole.seconds:.1f}", f"{total:.1f}", f"{whole.seconds / total:.2f}")
    return table


def main() -> None:
    """Runs, or fits and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "fit"])
    parser.add_argument("record", type=Path)
    parser.add_argument("configs", nargs="*")
    parser.add_argument("--check", nargs="*", default=[])
    options = parser.parse_args()
    if options.what == "run":
        run(options.record, options.configs)
        return
    record, console = json.loads(options.record.read_text()), Console(width=110)
    files = [file for file in record if file not in options.check]
    spark = fit(record, files)
    for file in record:
        console.print(compared(record, file, spark, file in files))
        own = [part for part in stages(case_of(file, record[file], spark)) if part.of]
        console.print(", ".join(f"{part.name} {part.serial + part.work:.1f} core-s" for part in own))
    for name, value in asdict(spark).items():
        console.print(f"{name}={value:.3g}")


if __name__ == "__main__":
    main()
