"""How benches measure: interleaved runs, minima, one thread, what machine it was, figures beside their aims."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One figure: a ratio, or megabytes, and what it should be; aim 0 is none."""

    what: str
    against: str
    figure: float
    aim: float = 0.0
    unit: str = "×"
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is where it should be."""
        return self.figure <= self.aim if self.at_most else self.figure >= self.aim


def one_thread() -> None:
    """One thread for every BLAS, OpenMP and tokenizer; call it before numpy is imported."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"


def minima(
    runs: dict[str, Callable[[], Any]],
    rounds: int,
    *,
    warm: bool = False,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, float]:
    """Least seconds of each run; all run in turn, `rounds` times, after one that warms up unless they are `warm`."""
    least = dict.fromkeys(runs, float("inf"))
    for turn in range(int(warm), rounds + 1):
        for name, run in runs.items():
            began = clock()
            run()
            if turn:
                least[name] = min(least[name], clock() - began)
    return least


def machine() -> dict[str, Any]:
    """Processor, its instructions that count here, cores and load."""
    text = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    fields = {line.split(":")[0].strip(): line.split(":", 1)[1] for line in text.splitlines() if ":" in line}
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")
    return {
        "processor": fields.get("model name", "unknown").strip(),
        "instructions": [flag for flag in known if flag in flags],
        "cores": os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def report(title: str, rows: list[Row], facts: dict[str, Any], path: Path | None) -> None:
    """Prints the table, and writes rows and facts as JSON."""
    table = Table(title=title)
    for name in ("what", "against", "figure", "aim", ""):
        table.add_column(name, justify="right" if name in ("figure", "aim") else "left")
    for row in rows:
        sign = "≤" if row.at_most else "≥"
        aim = f"{sign} {row.aim:g} {row.unit}" if row.aim else ""
        table.add_row(
            row.what,
            row.against,
            f"{row.figure:.2f} {row.unit}",
            aim,
            "" if not row.aim else "met" if row.met else "missed",
        )
    console = Console(width=140)
    console.print(table)
    console.print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"rows": [asdict(row) for row in rows], **facts}, indent=1, ensure_ascii=False))
