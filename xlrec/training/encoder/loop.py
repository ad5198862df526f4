"""Training loop of encoders: draw, step, measure, keep the best state, stop early, resume after a break.

A step's draws depend on the seed and the step's number alone, so that a resumed run ends as if it had not stopped.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.training.encoder.backends import Backend
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.retrieval import Task, measure_tasks, source_means
from xlrec.training.encoder.sampler import Sampler
from xlrec.training.processes import broadcast_value

#: Seconds between two lines of progress.
_EVERY_SECONDS = 15.0


@dataclass
class Progress:
    """State of a run."""

    step: int = 0
    best: float = -1.0
    """Highest mean on dev."""
    best_step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """Step and mean of each measurement."""


def run_key(config: AdaptConfig) -> str:
    """Key of the run that a checkpoint belongs to: a hash of all settings that shape its weights."""
    settings = config.model_dump_json(exclude={"output", "work", "name", "licence", "compress", "spark"})
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


class Loop:
    """One training run."""

    def __init__(
        self,
        config: AdaptConfig,
        backend: Backend,
        sampler: Sampler,
        tasks: list[Task],
        log: Callable[[str], None],
        rank: int = 0,
    ) -> None:
        """Takes a model and its data; without tasks the last state is the best; only rank 0 writes checkpoints."""
        self._config, self._backend, self._sampler, self._tasks = config, backend, sampler, tasks
        self._log, self._rank = log, rank
        self._folder = Path(config.work) / f"run-{run_key(config)}"
        self.progress = Progress()

    def run(self, until: int | None = None) -> None:
        """Trains to the last step; `until` ends before it, as a run that is killed there would."""
        self._resume()
        if not self.progress.step and self._tasks:
            self._measure()  # a model that training makes worse stays as it was
        started, first, logged = monotonic(), self.progress.step, monotonic()
        total = self._config.steps
        while self.progress.step < min(total, until or total) and not self._has_stalled():
            loss = self._one_step(self.progress.step)
            self.progress.step += 1
            if monotonic() - logged > _EVERY_SECONDS:
                logged = monotonic()
                left = (logged - started) / (self.progress.step - first) * (total - self.progress.step)
                self._log(f"step {self.progress.step:,}/{total:,} · loss {loss:.3f} · {left:,.0f} s left")
            if self.progress.step % self._config.measure.every_steps == 0 or self.progress.step == total:
                self._measure()
        if self.progress.step >= total or self._has_stalled():
            best = load_checkpoint(self._folder / "best.safetensors", run_key(self._config))
            if best is not None:
                self._backend.restore_state(best[0])

    def _one_step(self, step: int) -> float:
        rng = np.random.default_rng([self._config.seed, 3, step, self._rank])
        pairs = self._sampler.draw_pairs(rng, max(2, self._config.batch.pairs))
        return self._backend.train_step(pairs, 1 - step / self._config.steps, rng)

    def _measure(self) -> None:
        """Measures on dev; keeps the newest state, and the best one."""
        recalls = measure_tasks(self._tasks, self._backend.encode)
        means = source_means(recalls, self._config.measure.languages)
        mean = float(np.mean(list(means.values()))) if means else 0.0
        if self._config.finetune is not None:
            mean = broadcast_value(mean)  # all processes stop at the same step, or some would wait for the others
        progress = self.progress
        progress.history.append({"step": progress.step, "recall_at_1": mean})
        if recalls:
            parts = " · ".join(f"{source} {value:.3f}" for source, value in sorted(means.items()))
            self._log(f"dev at step {progress.step:,}: mean {mean:.4f} · {parts}")
        if mean > progress.best or not self._tasks:
            progress.best, progress.best_step = mean, progress.step
            self._save("best")
        self._save("newest")

    def _save(self, name: str) -> None:
        if self._rank == 0:  # every process holds the same state
            facts = {"key": run_key(self._config), **vars(self.progress)}
            save_checkpoint(self._folder / f"{name}.safetensors", self._backend.checkpoint_state(), facts)

    def _resume(self) -> None:
        newest = load_checkpoint(self._folder / "newest.safetensors", run_key(self._config))
        if newest is not None:
            state, facts = newest
            self._backend.restore_state(state)
            self.progress = Progress(**{name: facts[name] for name in vars(self.progress)})
            self._log(f"going on from step {self.progress.step:,}")

    def _has_stalled(self) -> bool:
        """Whether the last measurements brought nothing better."""
        later = [entry for entry in self.progress.history if entry["step"] > self.progress.best_step]
        return len(later) >= self._config.measure.patience


def save_checkpoint(file: Path, state: dict[str, npt.NDArray[Any]], facts: dict[str, Any]) -> None:
    """Replaces the checkpoint in one move; the facts are JSON in the file's own metadata.

    `state` is of `Backend.checkpoint_state`: float32 arrays by name, such as (n_tokens, dim) tables.
    """
    from safetensors.numpy import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    other = file.with_suffix(".new")
    save_file(state, other, metadata={"facts": json.dumps(facts)})
    os.replace(other, file)


def load_checkpoint(file: Path, key: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
    """(state, facts) of the checkpoint; None where there is none, or one of another `facts["key"]`.

    The state is as saved: float32 arrays by name, such as (n_tokens, dim) tables.
    """
    from safetensors import safe_open

    if not file.is_file():
        return None
    with safe_open(file, framework="numpy") as opened:
        facts = json.loads((opened.metadata() or {}).get("facts", "{}"))
        if facts.get("key") != key:
            return None
        return {name: opened.get_tensor(name) for name in opened.keys()}, facts  # noqa: SIM118  # not a dict
