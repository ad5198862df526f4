"""The loop: draw, step, measure, keep the best, stop early, go on after a break.

What a step draws depends on the seed and the number of the step alone, so that a run that was broken off goes on as if
it had not been.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.training import checkpoint
from xlrec.training.encoder.backends import Backend
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.hard import clusters_of_like
from xlrec.training.encoder.retrieval import Task, measure, watched_mean
from xlrec.training.encoder.sampler import Pairs, Sampler, joined
from xlrec.training.encoder.teacher import Teacher
from xlrec.training.processes import agreed

Longs = npt.NDArray[np.int64]
Say = Callable[[str], None]
#: Seconds between two lines of progress.
_EVERY_SECONDS = 15.0


@dataclass
class Standing:
    """Where a run is."""

    step: int = 0
    best: float = -1.0
    best_step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def run_key(config: AdaptConfig) -> str:
    """Names the run that a checkpoint belongs to."""
    facts = config.model_dump_json(exclude={"output", "work", "name", "licence", "compress", "spark"})
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


class Loop:
    """One training run."""

    def __init__(
        self,
        config: AdaptConfig,
        backend: Backend,
        sampler: Sampler,
        tasks: list[Task],
        teacher: Teacher | None,
        say: Say,
        rank: int = 0,
    ) -> None:
        self._config, self._backend, self._sampler = config, backend, sampler
        self._tasks, self._teacher, self._say = tasks, teacher, say
        self._clusters: Longs | None = None
        self._rank = rank
        self._folder = Path(config.work) / f"run-{run_key(config)}"
        self.standing = Standing()

    def run(self, until: int | None = None) -> None:
        """Trains to the last step, or to the step `until` as a run that is broken off there would."""
        self._resume()
        if not self.standing.step and self._tasks:
            self._look()  # a model that training makes worse stays as it was
        started, first, told = monotonic(), self.standing.step, monotonic()
        total = self._config.steps
        while self.standing.step < min(total, until or total) and not self._has_stalled():
            loss = self._one_step(self.standing.step)
            self.standing.step += 1
            if monotonic() - told > _EVERY_SECONDS:
                told = monotonic()
                left = (told - started) / (self.standing.step - first) * (total - self.standing.step)
                self._say(f"step {self.standing.step:,}/{total:,} · loss {loss:.3f} · {left:,.0f} s left")
            if self.standing.step % self._config.measure.every_steps == 0 or self.standing.step == total:
                self._look()
        if self.standing.step >= total or self._has_stalled():
            self._take_best()

    def _one_step(self, step: int) -> float:
        config = self._config
        rng = np.random.default_rng([config.seed, 3, step, self._rank])
        share = config.loss.hard_negatives
        pairs = self._sampler.draw(rng, max(2, int(config.batch.pairs * (1 - share))))
        if share and self._sampler.pivot >= 0:
            pairs = self._with_hard(pairs, step, rng)
        targets = None if self._teacher is None else self._teacher.of_pairs(pairs)
        return self._backend.step(pairs, targets, 1 - step / config.steps, rng)

    def _with_hard(self, pairs: Pairs, step: int, rng: np.random.Generator) -> Pairs:
        """The pairs, and others around texts that the model takes for near."""
        every = self._config.loss.mine_every_steps
        if step >= every and (self._clusters is None or step % every == 0):
            pool = self._sampler.pool(self._config.loss.mine_pool, np.random.default_rng([self._config.seed, 4, step]))
            self._clusters = clusters_of_like(pool, self._backend.encode(pool))
        if self._clusters is None:
            return pairs
        n = int(self._config.batch.pairs * self._config.loss.hard_negatives)
        return joined(pairs, self._sampler.around(self._clusters, n, rng))

    def _look(self) -> None:
        """Measures on dev, keeps the best state and the newest one."""
        found = measure(self._tasks, self._backend.encode)
        mean = watched_mean(found, self._config.measure.languages)
        if self._config.finetune is not None:
            mean = agreed(mean)  # all stop at one step, or those that go on wait for the others
        self.standing.history.append({"step": self.standing.step, "recall_at_1": mean})
        by_source: dict[str, list[float]] = {}
        for (source, language), value in found.items():
            if language in self._config.measure.languages:
                by_source.setdefault(source, []).append(value)
        parts = " · ".join(f"{name} {np.mean(values):.3f}" for name, values in sorted(by_source.items()))
        if found:
            self._say(f"dev at step {self.standing.step:,}: mean {mean:.4f} · {parts}")
        if mean > self.standing.best or not self._tasks:  # with nothing to measure the newest is the best
            self.standing.best, self.standing.best_step = mean, self.standing.step
            self._save("best")
        self._save("newest")

    def _save(self, name: str) -> None:
        if self._rank:  # every process holds the same state
            return
        facts = {"key": run_key(self._config), **vars(self.standing)}
        state: dict[str, npt.NDArray[Any]] = dict(self._backend.state())
        if self._clusters is not None:
            state["clusters"] = self._clusters
        checkpoint.save(self._folder / f"{name}.safetensors", state, facts)

    def _resume(self) -> None:
        found = checkpoint.load(self._folder / "newest.safetensors", run_key(self._config))
        if found is None:
            return
        state, facts = found
        self._clusters = state.pop("clusters", None)
        self._backend.restore(state)
        self.standing = Standing(**{name: facts[name] for name in vars(self.standing)})
        self._say(f"going on from step {self.standing.step:,}")

    def _take_best(self) -> None:
        found = checkpoint.load(self._folder / "best.safetensors", run_key(self._config))
        if found is not None:
            found[0].pop("clusters", None)
            self._backend.restore(found[0])

    def _has_stalled(self) -> bool:
        """Whether the last measurements brought nothing better."""
        after = [one for one in self.standing.history if one["step"] > self.standing.best_step]
        return len(after) >= self._config.measure.patience
