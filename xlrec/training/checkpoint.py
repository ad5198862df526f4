"""Checkpoints: arrays as safetensors with facts as JSON, whole or absent."""

import json
import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

_FACTS = "facts"


def save_checkpoint(file: Path, state: dict[str, npt.NDArray[Any]], facts: dict[str, Any]) -> None:
    """Replaces the checkpoint in one move; the facts are JSON in the file's own metadata."""
    from safetensors.numpy import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    other = file.with_suffix(".new")
    save_file(state, other, metadata={_FACTS: json.dumps(facts)})
    os.replace(other, file)


def load_checkpoint(file: Path, key: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
    """(state, facts) of the checkpoint; None where there is none, or one of another `facts["key"]`."""
    from safetensors import safe_open

    if not file.is_file():
        return None
    with safe_open(file, framework="numpy") as opened:
        facts = json.loads((opened.metadata() or {}).get(_FACTS, "{}"))
        if facts.get("key") != key:
            return None
        return {name: opened.get_tensor(name) for name in opened.keys()}, facts  # noqa: SIM118  # not a dict
