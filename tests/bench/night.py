"""The whole night beside the bare float32 product of its pairs on the same cores.

    python tests/bench/night.py --json .cache/bench/night.json     # make bench-night: 1 M users, 200 k items, k = 50

The world is the demo's. Texts are searched as the shipped encoder makes them (240 numbers); nothing is trained by
steps, whose cost hangs on the logs, not on the pairs (tests/bench/training_cost.py).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from measure import Row, machine, one_thread, report

one_thread()

# ruff: noqa: E402  # threads are set before numpy and torch come in
import argparse
import json
import os
import subprocess
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

N_CORES, DIM, SECONDS = 2, 240, 8.0


def product(_: int) -> float:
    """Pairs a second of one process: 1,024 queries at a time, 2,048 items at a time, one thread."""
    import torch

    torch.set_num_threads(1)
    queries, items, out = torch.randn(1024, DIM), torch.randn(200_000, DIM), torch.empty(1024, 2048)
    n_pairs, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for first in range(0, 200_000 - 2048, 2048):
            torch.mm(queries, items[first : first + 2048].T, out=out)
            n_pairs += 1024 * 2048
    return n_pairs / (time.perf_counter() - began)


def pairs_a_second() -> float:
    """Of all cores together, each multiplying by itself."""
    with ProcessPoolExecutor(N_CORES, get_context("spawn")) as pool:
        return sum(pool.map(product, range(N_CORES)))


class Watched:
    """Peak memory of a program and its children, by the stage that it says it is in; shared pages count once."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Looks once a second, in threads, until the program ends."""
        self.process, self.stage = process, "start"
        self.peaks: dict[str, dict[str, float]] = {}
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._read, self._look)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> int:
        """The program's exit status."""
        status = self.process.wait()
        for thread in self._threads:
            thread.join(5)
        return status

    def _read(self) -> None:
        for line in self.process.stderr or ():
            sys.stderr.write(line)
            word = line.split(" ", 1)[0]
            if word.isalpha() and word.islower():
                self.stage = word

    def _look(self) -> None:
        while self.process.poll() is None:
            found = dict.fromkeys(("driver's Python", "JVM", "workers"), 0.0)
            with suppress(OSError):  # a process ended while it was looked at
                for pid in tree(self.process.pid):
                    java, driver = name_of(pid) == "java", pid == self.process.pid
                    found["JVM" if java else "driver's Python" if driver else "workers"] += gib(pid)
            best = self.peaks.setdefault(self.stage, dict.fromkeys(found, 0.0))
            for kind, value in found.items():
                best[kind] = max(best[kind], round(value, 2))
            time.sleep(1)


def tree(pid: int) -> list[int]:
    """The process and all below it, whichever of its threads they are of."""
    told: list[str] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # gone meanwhile
            told += path.read_text("ascii").split()
    return [pid, *(below for child in told for below in tree(int(child)))]


def name_of(pid: int) -> str:
    """Name of the program."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("ascii").strip()
    except OSError:
        return ""


def gib(pid: int) -> float:
    """Proportional set size: what several processes share is divided among them."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in told if line.startswith("Pss:")), 0) / 2**20


def night(config: Path, root: Path) -> tuple[float, dict[str, dict[str, float]]]:
    """Seconds of the night's program, start to end, and its peaks."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "xlrec.cli", "run", "--config", str(config)]
    with subprocess.Popen(command, cwd=root, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        watched = Watched(process)
        if watched.wait():
            sys.exit(f"the night ended with status {process.returncode}")
    return time.perf_counter() - began, watched.peaks


def newest(lake: Path) -> dict[str, Any]:
    """The newest row of `_runs`."""
    from deltalake import DeltaTable

    rows = DeltaTable(str(lake / "_runs")).to_pyarrow_table().sort_by([("started_at", "descending")]).to_pylist()
    return {**rows[0], "counts": dict(rows[0]["counts"]), "seconds": dict(rows[0]["seconds"])}


def disk(lake: Path) -> dict[str, str]:
    """MiB below each folder of the lake."""
    sizes = {}
    for folder in sorted(path for path in lake.iterdir() if path.is_dir()):
        sizes[folder.name] = f"{sum(p.stat().st_size for p in folder.rglob('*') if p.is_file()) / 2**20:,.0f} MiB"
    return sizes


def world(folder: Path, args: argparse.Namespace, root: Path) -> Path:
    """The demo world of this size, written once, and the night's config."""
    inputs = folder / f"world-{args.users}-{args.items}"
    if not (inputs / "demo.json").exists():
        size = ["--users", str(args.users), "--items", str(args.items), "--memory", "8g"]
        subprocess.run([sys.executable, "-m", "xlrec.cli", "demo", str(inputs), *size], check=True, cwd=root)
    told = {
        "lake": str(folder / "lake"), "k": args.k,
        "inputs": {name: str(inputs / name) for name in ("catalog", "interactions", "users")},
        "train": {"factors": {"enabled": False}},
        "spark": {"master": f"local[{N_CORES}]", "driver_memory": "8g", "shuffle_partitions": 8 * N_CORES},
    }  # fmt: skip
    path = folder / "night.yaml"
    path.write_text(json.dumps(told, indent=1))
    return path


def main() -> None:
    """Measures, prints, writes."""
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--folder", type=Path, default=root / ".cache/bench-night", help="world and lake; 3 GB")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    config, facts = world(args.folder, args, root), {"machine": machine()}
    rate = pairs_a_second()
    facts["pairs a second, bare product"] = f"{rate:,.0f}"
    seconds, peaks = night(config, root)
    run = newest(args.folder / "lake")
    n_users, n_items = run["counts"]["recommend.users"], run["counts"]["index.items"]
    bare = n_users * n_items / rate
    what = f"night of {n_users:,} users × {n_items:,} items × {DIM}, k = {args.k}"
    rows = [Row(what, f"the bare product of its pairs, {bare:,.0f} s", seconds / bare, 2.0, "×", True)]
    facts |= {
        "seconds": round(seconds, 1), "by stage": run["seconds"], "peak GiB by stage": peaks,
        "disk": disk(args.folder / "lake"), "load after": machine()["load"],
    }  # fmt: skip
    report("The whole night, two cores", rows, facts, args.json)


if __name__ == "__main__":
    main()
