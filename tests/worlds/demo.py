"""A night on a small demo world: its config, and the record that it leaves."""

from typing import Any

from xlrec.lake.delta import Lake
from xlrec.tables import RUNS

INPUTS = ("catalog", "interactions", "users")
N_USERS = 120


def night_config(place: object, lake: object, **more: object) -> dict[str, Any]:
    """A config whose inputs lie below a place."""
    return {"lake": str(lake), "inputs": {name: f"{place}/{name}" for name in INPUTS}, "k": 5, **more}


def run_row(spark: Any, lake: str, run_id: str) -> dict[str, Any]:
    """The row of `_runs`."""
    (row,) = Lake(spark, lake).read_table(RUNS).where(f"run_id = '{run_id}'").collect()
    return dict(row.asDict())
