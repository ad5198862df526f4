"""What `xlrec plan` prints: sizes, time by stage, memory and disk, and what would make the night shorter."""

from dataclasses import asdict
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xlrec.planning.levers import embedding_on, search_on
from xlrec.planning.plan import Plan
from xlrec.runtime.progress import duration

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
#: A lever counts as halving where the night is at most this much of what it was.
_HALF: Final = 0.5


def show(plan: Plan, console: Console | None = None) -> None:
    """Prints the plan."""
    out = console or Console()
    out.print(_facts(plan))
    out.print(stage_table(plan))
    out.print(lever_table(plan))
    for line in _said(plan):
        out.print(Text(line, style="dim"))


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan for programs: seconds, bytes, counts."""
    case, whole = plan.case, plan.whole
    stages = [{**asdict(part), "seconds": part.seconds(whole.cores)} for part in whole.parts]
    sizes = {name: value for name, value in asdict(case.sizes).items() if name != "histories"}
    told = {
        "pairs": whole.pairs, "streamed_bytes": whole.streamed, "input_bytes": whole.read, "disk_bytes": whole.disk,
        "worker_bytes": whole.worker, "index_bytes": whole.shared, "driver_bytes": whole.driver,
        "machine_bytes": whole.memory(plan.heap), "shuffled_bytes": whole.shuffled,
        "cluster": {
            "executor_memory_bytes": whole.executor_memory(plan.heap), "executor_disk_bytes": whole.executor_disk,
            "driver_memory_bytes": whole.driver_memory(plan.heap), "driver_disk_bytes": whole.driver_disk,
        },
    }  # fmt: skip
    return {
        "seconds": whole.seconds, "cores": whole.cores, "dim": case.dim, "stages": stages, **told,
        "seconds_by_cores": {str(n): whole.on(n) for n in _cores(whole.cores)},
        "gpu": {**plan.gpu._asdict(), "search_seconds": search_on(plan.gpu, case),
                "encoder_seconds": embedding_on(plan.gpu, case)},
        "levers": [asdict(lever) for lever in plan.levers],
        "rates": asdict(case.rates), "sizes": sizes,
        "last_night": asdict(plan.last) if plan.last else None, "notes": list(plan.notes),
    }  # fmt: skip


def stage_table(plan: Plan) -> Table:
    """Seconds by stage, with parts indented, beside those of the newest night where the lake has one."""
    whole, last = plan.whole, plan.last
    title = f"The night on {whole.cores} cores: about {duration(whole.seconds)}"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    table.add_column("stage")
    for name in ("time", "share", "shared by cores", *(["last night"] if last else [])):
        table.add_column(name, justify="right")
    for part in whole.parts:
        own = part.seconds(whole.cores)
        if part.of:
            if own:
                cells = [duration(own), "", _share(part.work / whole.cores / own)]
                table.add_row(f"  {part.name}", *cells, *([""] if last else []), style="dim")
            continue
        seconds = whole.stage(part.name)
        work = sum(one.work for one in whole.parts if part.name in (one.of, one.name)) / whole.cores
        told = last.seconds.get(part.name) if last else None
        cells = [duration(seconds), _share(seconds / whole.seconds), _share(work / seconds if seconds else 0.0)]
        table.add_row(part.name, *cells, *([duration(told) if told is not None else "–"] if last else []))
    return table


def lever_table(plan: Plan) -> Table:
    """Each change with the night that it makes; those that halve it are bold."""
    whole = plan.whole
    table = Table(box=SIMPLE_HEAD, title="What would shorten it, each alone", title_justify="left")
    table.title_style = "bold"
    table.add_column("change", overflow="fold")
    table.add_column("how", overflow="fold", style="dim")
    for name in ("night", "share", ""):
        table.add_column(name, justify="right" if name else "left")
    for lever in plan.levers:
        share = lever.seconds / whole.seconds
        style = "bold" if share <= _HALF else ""
        basis = "" if lever.basis == "measured" else lever.basis
        table.add_row(Text(lever.what), Text(lever.how), duration(lever.seconds), _share(share), basis, style=style)
    return table


def size(n_bytes: float) -> str:
    """Bytes as a person says them: 512 B, 1.5 MB, 20 GB."""
    power = 0
    while n_bytes >= 1000 and power < len(_UNITS) - 1:
        n_bytes, power = n_bytes / 1000, power + 1
    return f"{n_bytes:.0f} {_UNITS[power]}" if n_bytes >= 9.95 or not power else f"{n_bytes:.1f} {_UNITS[power]}"


def _facts(plan: Plan) -> Table:
    case, whole = plan.case, plan.whole
    sizes, rates = case.sizes, case.rates
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim")
    shown.add_column(overflow="fold")
    pair = rates.pair(case.dim)
    rows = {
        "users": f"{sizes.users:,}, {sizes.active:,} with events; {sizes.events:,} events",
        "items": f"{sizes.items:,}; {sizes.texts:,} texts, {sizes.new_texts:,} to embed",
        "pairs": f"{whole.pairs:,} scored: {case.sizes.active:,} users × {sizes.items:,} items, {case.dim} numbers, "
        f"{rates.path}; {3600 / pair / rates.crowding / 1e9:,.0f} billion pairs a core-hour",
        "read": f"{size(whole.read)} of Parquet; the search goes through {size(whole.streamed)} of item vectors",
        "memory": f"{size(whole.worker)} a retrieving worker, {size(whole.shared)} of index shared; "
        f"{size(whole.memory(plan.heap))} a machine with {size(plan.heap)} of heap; here are {size(plan.memory)}",
        "disk": f"{size(whole.disk)} more in the lake",
        "cluster": f"an executor's machine of {whole.per_machine} cores: {size(whole.executor_memory(plan.heap))}, "
        f"{size(whole.executor_disk)} of disk; the driver's: {size(whole.driver_memory(plan.heap))}, "
        f"{size(whole.driver_disk)} of disk; shuffles {size(whole.shuffled)}",
        "GPU": _gpu(plan),
    }
    for name, text in rows.items():
        shown.add_row(name, Text(text))
    return shown


def _gpu(plan: Plan) -> str:
    gpu, whole = plan.gpu, plan.whole
    embedding = embedding_on(gpu, plan.case)
    encoder = f"encoder {duration(embedding)}" if embedding is not None else "the encoder needs none"
    return (
        f"none was tried; one of {gpu.teraflops:g} TFLOP/s and {gpu.gigabytes:g} GB/s, {gpu.share:.0%} of both used: "
        f"search {duration(search_on(gpu, plan.case))} (these CPUs {duration(whole.stage('search'))}), {encoder}"
    )


def _said(plan: Plan) -> list[str]:
    whole = plan.whole
    by_cores = ", ".join(f"{n}: {duration(whole.on(n))}" for n in _cores(whole.cores))
    needed = whole.cores_for(whole.seconds / 2)
    halved = f"{needed} cores halve it" if needed else "no number of cores halves it"
    said = [f"By cores: {by_cores}; {halved}."]
    if plan.last:
        last = plan.last
        said.append(
            f"Last night ({last.run_id}): {last.users:,} users, {last.items:,} items, {last.texts:,} texts embedded, "
            f"k = {last.k}, {'with' if last.learnt else 'without'} a learnt model."
        )
    said += [f"Note: {note}." for note in plan.notes]
    said.append(
        f"Rates were measured here in {plan.calibrated:.0f} s, on one core. What Spark itself costs is rougher: from "
        "small nights on a busy machine, partly guessed, scaled by the speed of this one's core."
    )
    return said


def _cores(cores: int) -> list[int]:
    return [cores << power for power in range(5)]


def _share(share: float) -> str:
    return f"{share:.0%}"
