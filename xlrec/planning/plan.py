"""The plan of a night: sizes, rates, the estimate, what the last night took, and what would make it shorter."""

import os
import re
from dataclasses import dataclass
from typing import Final

from xlrec.config.models import Config
from xlrec.planning import calibration, past, sizes
from xlrec.planning.costs import Case, Estimate, Machine, estimate
from xlrec.planning.levers import Gpu, Lever, levers
from xlrec.runtime import machine

#: An NVIDIA L4 as its datasheet has it: dense bfloat16, memory; the share is assumed.
L4: Final = Gpu(121.0, 300.0, 0.3)


@dataclass(frozen=True)
class Plan:
    """All that `xlrec plan` tells."""

    case: Case
    whole: Estimate
    levers: tuple[Lever, ...]
    gpu: Gpu
    last: past.Night | None
    calibrated: float
    """Seconds of the calibration."""
    memory: int
    """Bytes of this machine."""
    notes: tuple[str, ...]

    @property
    def heap(self) -> int:
        """Bytes of the driver's heap."""
        return heap_of(self.case.config)


def plan(
    config: Config, *, users: int | None = None, items: int | None = None, cores: int | None = None, gpu: Gpu = L4
) -> Plan:
    """Reads, calibrates and estimates.

    Args:
        config: The whole config.
        users: As many instead of the inputs', with histories as long.
        items: Likewise, with as many texts each.
        cores: Of the night; None: what `spark` says, or this machine's.
        gpu: For what a GPU would take.

    Raises:
        InputError: An input is missing, remote or no Parquet.
        EncoderError: The encoder cannot be had.
    """
    whole, texts = sizes.read(config)
    whole = whole.scaled(users, items)
    runs_on, note = machine_of(config, cores)
    measured = calibration.measure(config, whole, texts, runs_on.per_machine)
    case = Case(config, whole, measured.rates, runs_on, measured.text_dim)
    notes = [*whole.notes, note, *_notes(config)]
    return Plan(
        case, estimate(case), levers(case, measured.others, gpu), gpu, past.newest_night(config), measured.seconds,
        machine.memory_bytes(), tuple(filter(None, notes)),
    )  # fmt: skip


def machine_of(config: Config, cores: int | None = None) -> tuple[Machine, str]:
    """What the night runs on, and what was assumed about it."""
    here, conf = machine.cores(), config.spark.conf
    if cores is not None:
        return Machine(cores, min(cores, here)), ""
    local = re.fullmatch(r"local(?:\[(\*|\d+)(?:,\s*\d+)?\])?", config.spark.master)
    if local:
        n = here if local[1] == "*" else int(local[1] or 1)
        return Machine(n, n), "" if n <= here else f"spark.master names {n} cores, this machine has {here}"
    if cluster := re.fullmatch(r"local-cluster\[(\d+),\s*(\d+),\s*\d+\]", config.spark.master):
        return Machine(int(cluster[1]) * int(cluster[2]), int(cluster[1]) * int(cluster[2])), ""
    each, executors = conf.get("spark.executor.cores"), conf.get("spark.executor.instances")
    if each and executors:
        return Machine(int(each) * int(executors), int(each)), "executors are taken to be as fast as this machine"
    note = f"spark.conf names no spark.executor.instances and .cores: {here} cores, as here; --cores says how many"
    return Machine(here, here), note


def heap_of(config: Config) -> int:
    """Bytes that `spark.driver_memory` names."""
    found = re.fullmatch(r"(\d+)\s*([kmgt]?)b?", config.spark.driver_memory.strip().lower())
    power = " kmgt".index(found[2] or " ") if found else 0
    return int(found[1]) << (10 * power) if found else 0


def _notes(config: Config) -> list[str]:
    said: list[str] = []
    busy, here = os.getloadavg()[0], machine.cores()
    if busy > here + 1:
        said.append(f"{busy:.1f} processes want this machine's {here} cores: the night is told for an idle one")
    if config.unify != "vectors" and config.translate.model:
        said.append("translation by a model is not counted")
    return said
