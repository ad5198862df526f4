"""What Spark itself costs in a night: runs nights, subtracts what `xlrec plan` measures, fits the rest.

    python tests/bench/night_cost.py run record.json a.yaml b.yaml     # each into an empty lake, then calibrates
    python tests/bench/night_cost.py fit record.json --check b.yaml    # constants of the others, and b foretold by them
    python tests/bench/night_cost.py fit record.json --cpu             # rows' costs from CPU time: on a busy machine

The constants are what stands in `xlrec/planning/rates.py`. Wall time needs an idle machine. CPU time does not, but
tells nothing of what no core shortens: with `--cpu` a stage's fixed core-seconds are fitted, printed and left out, and
its fixed seconds stay as they stand there.
"""

import argparse
import json
import os
import re
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

from xlrec.config.loading import load
from xlrec.planning import calibration, past, sizes
from xlrec.planning.costs import Case, Training, estimate, stages
from xlrec.planning.plan import machine_of
from xlrec.planning.rates import SPARK, Rates, SparkCosts

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
        cpu = watched([sys.executable, "-m", "xlrec.cli", "run", "--config", file])
        wall = perf_counter() - began
        night, training = past.newest_night(config), past.training(config)
        assert night is not None
        measured = calibration.measure(config, whole, texts, machine_of(config)[0].per_machine)
        seconds = {name: night.seconds[name] for name in STAGES[:-1]}
        seconds["start, report"] = wall - sum(seconds.values())
        told[file] = {
            "seconds": seconds, "cpu": cpu, "sizes": asdict(whole), "rates": asdict(measured.rates),
            "text_dim": measured.text_dim, "training": asdict(training),
        }  # fmt: skip
        record.write_text(json.dumps(told, indent=1))


def watched(command: list[str]) -> dict[str, float]:
    """Runs a night; CPU seconds of its processes by stage."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    found, before = {}, 0.0
    for line in process.stderr:
        print(line, end="", flush=True)  # noqa: T201
        ended = re.match(r"(prepare|embed|train|recommend|publish) .* out ·", line)
        if ended:
            now = cpu_of(process.pid)
            found[ended[1]], before = now - before, now
    if process.wait():
        sys.exit(f"{' '.join(command)} failed")
    return found


def cpu_of(root: int) -> float:
    """CPU seconds of a process and all below it, ended ones included."""
    parents: dict[int, list[int]] = {}
    spent: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields_of = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents.setdefault(int(fields_of[1]), []).append(pid)
        spent[pid] = sum(map(int, fields_of[11:15]))
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        total += spent.get(pid, 0)
        todo += parents.get(pid, [])
    return total / os.sysconf("SC_CLK_TCK")


def case_of(file: str, told: dict[str, Any], spark: SparkCosts) -> Case:
    """The night as the plan sees it."""
    config = load(file, [], {})
    whole = sizes.Sizes(**{**told["sizes"], "histories": (), "notes": ()})
    machine, training = machine_of(config)[0], Training(**told["training"])
    return Case(config, whole, Rates(**told["rates"]), machine, training, told["text_dim"], spark)


def fit(record: dict[str, Any], files: list[str], kind: str) -> SparkCosts:
    """Non-negative least squares of relative errors, stage by stage; `kind` is seconds or cpu."""
    names = [field.name for field in fields(SparkCosts)]
    none = SparkCosts(**dict.fromkeys(names, 0.0))
    found: dict[str, float] = asdict(SPARK)
    for stage in (stage for stage in STAGES if stage in record[files[0]][kind]):
        mine = [name for name in names if name.startswith(PREFIXES.get(stage, stage) + "_")]
        rows, rest = [], []
        for file in files:
            real = record[file][kind][stage]
            base = by_model(case_of(file, record[file], none), stage, kind)
            ones = [by_model(case_of(file, record[file], replace(none, **{name: 1.0})), stage, kind) for name in mine]
            rows.append([(one - base) / real for one in ones])
            rest.append((real - base) / real)
        found |= dict(zip(mine, nnls(np.array(rows), np.array(rest))[0], strict=True))
    return SparkCosts(**found)


def by_model(case: Case, stage: str, kind: str) -> float:
    """Wall or CPU seconds of a stage by the model."""
    whole = estimate(case)
    if kind == "seconds":
        return whole.stage(stage)
    return sum(part.serial + part.work for part in whole.parts if stage in (part.of, part.name))


def compared(record: dict[str, Any], file: str, spark: SparkCosts, fitted: bool) -> Table:
    """Foretold and real seconds by stage."""
    one = case_of(file, record[file], spark)
    whole, real = estimate(one), record[file]["seconds"]
    size = f"{one.sizes.users:,} users × {one.sizes.items:,} items, k = {one.config.k}"
    table = Table("stage", title=f"{Path(file).name}: {size}{', fitted to' if fitted else ', not fitted to'}")
    for name in ("foretold", "real", "foretold / real", "core-s foretold", "real"):
        table.add_column(name, justify="right")
    for stage in STAGES:
        told = whole.stage(stage)
        cpu = (by_model(one, stage, "cpu"), record[file]["cpu"].get(stage))
        cells = [f"{told:.1f}", f"{real[stage]:.1f}", f"{told / real[stage]:.2f}"]
        table.add_row(stage, *cells, f"{cpu[0]:.1f}", f"{cpu[1]:.1f}" if cpu[1] else "")
    total = sum(real.values())
    table.add_row("night", f"{whole.seconds:.1f}", f"{total:.1f}", f"{whole.seconds / total:.2f}", "", "")
    return table


def main() -> None:
    """Runs, or fits and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "fit"])
    parser.add_argument("record", type=Path)
    parser.add_argument("configs", nargs="*")
    parser.add_argument("--check", nargs="*", default=[])
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args()
    if options.what == "run":
        run(options.record, options.configs)
        return
    record, console = json.loads(options.record.read_text()), Console(width=110)
    files = [file for file in record if file not in options.check]
    spark = fit(record, files, "cpu" if options.cpu else "seconds")
    if options.cpu:
        console.print({name: round(value, 1) for name, value in asdict(spark).items() if name.endswith("_fixed")})
        spark = replace(spark, **{name: value for name, value in asdict(SPARK).items() if name.endswith("_fixed")})
    for file in record:
        console.print(compared(record, file, spark, file in files))
        own = [part for part in stages(case_of(file, record[file], spark)) if part.of]
        console.print(", ".join(f"{part.name} {part.serial + part.work:.1f} core-s" for part in own))
    for name, value in asdict(spark).items():
        console.print(f"{name}={value:.3g}")


if __name__ == "__main__":
    main()
