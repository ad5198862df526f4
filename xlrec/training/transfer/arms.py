"""Ways to learn the target from some of its logs: each tried on an inner split of them, then trained on all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.recommenders.hybrid import HybridModel
from xlrec.training.recommender.logs import Logs
from xlrec.training.recommender.loop import Task, Trainer
from xlrec.training.transfer.measuring import Scores, depth, learnt
from xlrec.training.transfer.sides import World, split

#: Steps of one epoch that small logs are cut into, at least, and the least batch.
_STEPS: Final = 16
_LEAST_BATCH: Final = 32


class Way(NamedTuple):
    """A way to learn."""

    name: str
    source: bool
    """The source's logs are learnt from, too."""
    started: bool
    """It goes on from the source model."""
    frozen: bool = False
    """Only residuals and biases learn."""


AS_IT_IS: Final = Way("source as it is", source=False, started=True)
TARGET_ONLY: Final = Way("target only", source=False, started=False)
RESIDUALS: Final = Way("frozen adapter", source=False, started=True, frozen=True)
FINE_TUNED: Final = Way("fine-tuned", source=False, started=True)
JOINT: Final = Way("joint", source=True, started=False)
#: All that learn from the target.
WAYS: Final = (TARGET_ONLY, RESIDUALS, FINE_TUNED, JOINT)

Model = tuple[HybridModel, NDArray[np.int64]]
"""A model, and the row of each item in its residuals (-1: not taught)."""


@dataclass(frozen=True)
class Trial:
    """What a way reached on the inner split."""

    epochs: int
    """After which it was best; 0: as it started."""
    values: NDArray[np.float64]
    """(n_users,) NDCG over the whole order, of each user of the inner split."""


@dataclass(frozen=True)
class Bench:
    """A world, and how its models learn."""

    world: World
    item_ids: "pa.Array[Any]"
    config: HybridConfig
    popularity: PopularityConfig
    seed: int

    def told(self, way: Way, sampled: NDArray[np.bool_] | None) -> Logs:
        """Logs whose events make popularity: of the source and the sample, or of the sample alone."""
        return self.world.part(sampled, source=way is not TARGET_ONLY)

    def task(self, way: Way, sampled: NDArray[np.bool_] | None) -> Task:
        """What a way learns from; small logs are cut into smaller batches, so that they still make steps."""
        told = self.told(way, sampled)
        visits = self.world.part(sampled, source=way.source).visits
        batch = min(self.config.batch, max(_LEAST_BATCH, len(visits.nums) // _STEPS))
        config = self.config.model_copy(update={"batch": batch})
        return Task(told._replace(visits=visits), self.world.known(told), config, self.popularity, self.seed)

    def trainer(self, way: Way, sampled: NDArray[np.bool_], source: Model) -> Trainer:
        """Before its first epoch."""
        made = Trainer(self.task(way, sampled), *(source if way.started else (None, None)))
        if way.frozen:
            made.network.freeze()
        return made

    def fit(self, way: Way, sampled: NDArray[np.bool_], source: Model, epochs: int) -> Model:
        """The model after so many epochs."""
        trainer = self.trainer(way, sampled, source)
        for number in range(epochs):
            trainer.epoch(number, self.config.epochs, _quietly)
        return trainer.model(self.item_ids, {}), trainer.rows()

    def scores(self, way: Way, sampled: NDArray[np.bool_] | None, model: Model, moment: float) -> Scores:
        """Of the target's users, served from their histories."""
        told = self.told(way, sampled)
        items = self.world._replace(items=self.world.known(told)).for_sale
        return learnt(*model, items, told, self.world.read(), moment, self.popularity)


class Inner:
    """The inner split of some users' target logs: where ways are tried and epochs are counted."""

    def __init__(self, bench: Bench, sampled: NDArray[np.bool_]) -> None:
        """Splits by time; by user's newest meeting where too few have a history."""
        config, world = bench.config, bench.world
        theirs = world._replace(users=world.users & sampled)
        found = split(theirs, config.validation_share, config.min_validation_users, config.validation_users, bench.seed)
        self.truth, self.sampled = found.truth, sampled
        world = world.before(found.cuts)
        self.bench = Bench(world, bench.item_ids, config, bench.popularity, bench.seed)
        self.read = world.read()

    def measure(self, way: Way, model: Model) -> NDArray[np.float64]:
        """(n_users,) NDCG over the whole order."""
        scores = self.bench.scores(way, self.sampled, model, self.truth.moment)
        return depth(scores, self.truth, self.bench.world.items)

    def trial(self, way: Way, source: Model) -> Trial:
        """Epoch by epoch until no better; the best one.

        Joint training takes the source model's epochs where the inner split has too few users to count them.
        """
        trainer, config = self.bench.trainer(way, self.sampled, source), self.bench.config
        least = 0
        if way.source and len(self.truth.users) < config.min_validation_users:
            least = int(source[0].facts["epochs"])
        best, at = self._measured(way, trainer), 0
        for number in range(config.epochs if least or len(self.truth.users) else 0):
            trainer.epoch(number, config.epochs, _quietly)
            if number + 1 < least:
                continue
            found = self._measured(way, trainer)
            if number + 1 == least:
                return Trial(least, found)
            if found.mean() > best.mean():
                best, at = found, number + 1
            elif number + 1 - at >= config.patience:
                break
        return Trial(at, best)

    def _measured(self, way: Way, trainer: Trainer) -> NDArray[np.float64]:
        return self.measure(way, (trainer.model(self.bench.item_ids, {}), trainer.rows()))


def _quietly(_done: int, _loss: float) -> None:
    """Arms tell of themselves when they are done."""


Say = Callable[[str], None]
