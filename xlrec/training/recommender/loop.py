"""The loop: draw, step, measure on the inner time split, stop early, then once more on everything for as many epochs.

What a step draws hangs on the seed, the epoch and the step alone: a run that was broken off goes on as if it had not
been, and several processes, each with its share of every batch, take the same steps within rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.kernels import metrics
from xlrec.recommenders.hybrid import HybridModel
from xlrec.training import checkpoint
from xlrec.training.recommender.examples import Batch, Examples, some_of
from xlrec.training.recommender.logs import Items, Logs
from xlrec.training.recommender.network import TABLES, Network
from xlrec.training.recommender.scoring import Truth, scores_of, served, top

Say = Callable[[str], None]
_EVERY_SECONDS: Final = 10.0
_K: Final = 10


@dataclass(frozen=True)
class Process:
    """One process among those that train together."""

    rank: int = 0
    world: int = 1

    def add_up(self, tensors: list[Tensor]) -> None:
        """Replaces each by its sum over all processes."""
        if self.world > 1:
            for one in tensors:
                torch.distributed.all_reduce(one)


@dataclass(frozen=True)
class Task:
    """One training: what it learns from, and how."""

    logs: Logs
    items: Items
    config: HybridConfig
    popularity: PopularityConfig
    seed: int
    process: Process = Process()


class Trainer:
    """A network that learns from the examples of one task."""

    def __init__(
        self, task: Task, start: HybridModel | None = None, start_rows: NDArray[np.int64] | None = None
    ) -> None:
        """Starts from the texts, or from a trained model whose residual rows the items have.

        Args:
            task: What to learn.
            start: A model to go on from.
            start_rows: (n_items,) rows of its residuals, -1 where it was not taught.
        """
        self.task = task
        self.examples = Examples(task.logs, task.items, task.config, task.popularity)
        taught = self.examples.counts > 0
        if start_rows is not None:
            taught |= start_rows >= 0
        self.network = Network(task.items, taught, task.config, task.seed)
        if start is not None and start_rows is not None:
            self.network.take_over(start, start_rows)
        self._slots = np.full(len(task.items.texts), -1)

    def epoch(self, number: int, n_epochs: int, tell: Callable[[int, float], None]) -> float:
        """One pass over the examples; the mean loss."""
        losses, n_batches = 0.0, self.examples.n_batches
        total = max(1, n_batches * n_epochs)
        for place, batch in enumerate(self.examples.epoch(number, self.task.seed)):
            done = number * n_batches + place
            losses += self._step(batch, max(0.1, 1 - done / total), np.random.default_rng([self.task.seed, 13, done]))
            tell(done, losses / (place + 1))
        return losses / max(1, n_batches)

    def _step(self, batch: Batch, left: float, rng: np.random.Generator) -> float:
        net, config, world = self.network, self.task.config, self.task.process
        candidates, log_chances = self._candidates(batch.targets, rng)
        nums, places = np.unique(batch.past.items, return_inverse=True)
        touched = {
            "residual_out": (candidates, net.rows("residual_out", candidates)),
            "residual_in": (nums, net.rows("residual_in", nums)),
            "bias": (candidates, net.rows("bias", candidates)),
        }
        kept_out = (rng.random(len(candidates)) >= config.residual_dropout).astype(np.float32)
        kept_in = (rng.random(len(nums)) >= config.residual_dropout).astype(np.float32)
        outputs = net.vectors("out", candidates, touched["residual_out"][1], kept_out)
        inputs = net.vectors("in", nums, touched["residual_in"][1], kept_in)
        bias = touched["bias"][1][:, 0] * net.taught[torch.from_numpy(candidates)] * torch.from_numpy(kept_out)
        mine = np.arange(world.rank, len(batch.users), world.world)
        past = some_of(batch.past, mine)
        queries = net.queries(past, places.reshape(batch.past.items.shape)[mine], nums, inputs)
        markets = self.task.logs.markets[batch.users[mine]]
        match = self.task.logs.reads[batch.users[mine]] @ self.task.items.languages[candidates].T
        scores = net.logits(
            queries, outputs, bias,
            torch.from_numpy(batch.span.popularity[:, candidates][markets]),
            torch.from_numpy(batch.span.fresh[candidates]),
            torch.from_numpy(match),
        ) - torch.from_numpy(log_chances)  # fmt: skip
        banned, right = self._banned(batch, mine, candidates)
        scores = scores.masked_fill(torch.from_numpy(banned), -1e9)
        each = torch.nn.functional.cross_entropy(scores, torch.from_numpy(right), reduction="none")
        weights = torch.from_numpy(batch.weights[mine])
        loss = (each * weights).sum() / float(batch.weights.sum())
        net.zero_grad()
        penalty = net.penalty(touched, len(batch.users))
        (loss + penalty / world.world).backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        gradients = [one.grad for one in (*net.dense.values(), *(rows for _, rows in touched.values()))]
        world.add_up([one for one in gradients if one is not None])
        net.step(touched, left)
        return float(loss.detach()) * world.world

    def _candidates(
        self, targets: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Distinct targets and drawn items, and the logarithm of each one's chance to be among them (logQ correction).

        Source: Yi et al. 2019, Sampling-bias-corrected neural modeling for large corpus item recommendations.
        """
        n_items, n_drawn = len(self._slots), self.task.config.negatives
        if n_items <= n_drawn:
            return np.arange(n_items), np.zeros(n_items, dtype=np.float32)
        candidates = np.unique(np.concatenate([targets, rng.integers(0, n_items, n_drawn)]))
        shares = self.examples.counts[candidates] / max(1, self.examples.counts.sum())
        missed = len(targets) * np.log1p(-np.minimum(shares, 0.999999)) + n_drawn * np.log1p(-1 / n_items)
        return candidates, np.log(-np.expm1(missed)).astype(np.float32)

    def _banned(
        self, batch: Batch, mine: NDArray[np.int64], candidates: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """What is no negative: not sold in the user's market, or met before; and the column of each target."""
        slots, task = self._slots, self.task
        slots[candidates] = np.arange(len(candidates))
        banned = ~task.items.eligible[:, candidates][task.logs.markets[batch.users[mine]]]
        met = np.where(batch.past.held[mine], slots[batch.past.items[mine]], -1)
        rows, columns = np.nonzero(met >= 0)
        banned[rows, met[rows, columns]] = True
        right = slots[batch.targets[mine]].copy()
        banned[np.arange(len(mine)), right] = False
        slots[candidates] = -1
        return banned, right

    def model(self, item_ids: "pa.Array[Any]", facts: dict[str, Any]) -> HybridModel:
        """The artefact as it stands; `item_ids` are all items, row-aligned."""
        net = self.network
        taught = np.flatnonzero(net.taught.numpy() > 0)
        taught_rows: Any = pa.array(taught)
        arrays = {name: one.detach().numpy().copy() for name, one in net.dense.items()}
        arrays |= {name: net.tables[name].numpy()[taught] for name in TABLES}
        arrays["bias"] = arrays["bias"][:, 0]
        made = {"dim": self.task.config.dim, "text_dim": int(net.texts.shape[1])}
        made["max_history"] = self.task.config.max_history
        return HybridModel(arrays, item_ids.take(taught_rows), {**made, **facts})

    def rows(self) -> NDArray[np.int64]:
        """(n_items,) row of each item in the residuals of `model`; -1 where it was not taught."""
        taught = self.network.taught.numpy() > 0
        return np.where(taught, np.cumsum(taught) - 1, -1)


def measure(model: HybridModel, rows: NDArray[np.int64], task: Task, truth: Truth) -> NDArray[np.float64]:
    """(n,) NDCG@10 of the truth's users, served from the task's logs at the truth's moment."""
    what = served(model, rows, task.items, task.logs, truth.moment, task.popularity)
    found = [np.zeros(0)]
    for block in truth.blocks(len(task.items.texts)):
        listed = top(scores_of(model, what, task.items, task.logs, block.users), _K)
        sizes = np.diff(block.indptr)
        found.append(metrics.ndcg(metrics.find_hits(*listed, block.nums, sizes), sizes, _K))
    return np.concatenate(found)


class Course(NamedTuple):
    """How an inner training went."""

    ndcg: list[float]
    """NDCG@10 of the inner split's users before training, and after each epoch."""
    by_market: list[tuple[int, int, float, float]]
    """Of each market with users: its row, its users, their NDCG@10 before training and after the best epoch."""
    values: NDArray[np.float64]
    """(n_users,) NDCG@10 after the best epoch."""
    model: "Start"
    """As it was then."""

    @property
    def best(self) -> int:
        """Epochs after which it was best; 0: the start is."""
        return int(np.argmax(self.ndcg))


def best_epochs(task: Task, truth: Truth, item_ids: "pa.Array[Any]", say: Say, start: "Start | None" = None) -> Course:
    """Trains until NDCG@10 on the truth, of one user at least, has not risen for `patience` epochs."""
    trainer = Trainer(task, *(start or (None, None)))
    model = trainer.model(item_ids, {}), trainer.rows()
    first = best = measure(*model, task, truth)
    course = [float(first.mean())]
    for number in range(task.config.epochs):
        loss = trainer.epoch(number, task.config.epochs, _teller(say, "inner", trainer, task.config.epochs))
        newest = trainer.model(item_ids, {}), trainer.rows()
        found = measure(*newest, task, truth)
        if found.mean() > max(course):
            model, best = newest, found
        course.append(float(found.mean()))
        say(f"inner epoch {number + 1}/{task.config.epochs} · loss {loss:.3f} · NDCG@10 {course[-1]:.4f}")
        if len(course) - 1 - int(np.argmax(course)) >= task.config.patience:
            break
    markets = task.logs.markets[truth.users]
    told = [
        (int(market), int((markets == market).sum()), float(first[markets == market].mean()),
         float(best[markets == market].mean()))
        for market in np.unique(markets)
    ]  # fmt: skip
    return Course(course, told, best, model)


Start = tuple[HybridModel, NDArray[np.int64]]


def train_epochs(
    task: Task, n_epochs: int, say: Say, folder: Path | None = None, start: Start | None = None
) -> Trainer:
    """Trains that many epochs; goes on from the checkpoint in the folder, which is kept after every epoch."""
    trainer = Trainer(task, *(start or (None, None)))
    key = f"{task.config.model_dump_json()}/{task.seed}/{n_epochs}/{len(trainer.examples)}"
    first = 0
    if folder is not None and (found := checkpoint.load(folder / "newest.safetensors", key)) is not None:
        trainer.network.restore(found[0])
        first = int(found[1]["epochs"])
        say(f"going on after epoch {first}")
    for number in range(first, n_epochs):
        loss = trainer.epoch(number, task.config.epochs, _teller(say, "whole", trainer, n_epochs))
        say(f"epoch {number + 1}/{n_epochs} · loss {loss:.3f}")
        if folder is not None and task.process.rank == 0:
            checkpoint.save(folder / "newest.safetensors", trainer.network.state(), {"key": key, "epochs": number + 1})
    return trainer


def _teller(say: Say, name: str, trainer: Trainer, n_epochs: int) -> Callable[[int, float], None]:
    """Says every few seconds how far an epoch is, with time left for all."""
    began = told = monotonic()
    total, first = trainer.examples.n_batches * n_epochs, -1

    def tell(done: int, loss: float) -> None:
        nonlocal told, first
        first = done if first < 0 else first
        now = monotonic()
        if now - told >= _EVERY_SECONDS and done > first:
            told = now
            left = (now - began) / (done - first) * (total - done)
            say(f"{name} step {done:,}/{total:,} · loss {loss:.3f} · at most {left:,.0f} s left")

    return tell
