"""Ways to learn the target from some of its logs: each tried on an inner split of them, then trained on all of them."""

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.recommenders.hybrid import HybridModel
from xlrec.training.recommender.choosing import gentle, simplest
from xlrec.training.recommender.logs import Logs
from xlrec.training.recommender.loop import Task, Trainer
from xlrec.training.recommender.scoring import Truth
from xlrec.training.transfer.measuring import Scores, depth, learnt
from xlrec.training.transfer.sides import World, split

#: Share of each user's meetings that an inner split by user takes.
_NEWEST: Final = 1 / 3
#: Parts of a small sample that are held out in turn.
_FOLDS: Final = 3


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
WAYS: Final = (RESIDUALS, FINE_TUNED, JOINT, TARGET_ONLY)

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
        """What a way learns from."""
        told = self.told(way, sampled)
        visits = self.world.part(sampled, source=way.source).visits
        config = gentle(self.config, len(visits.nums), started=way.started)
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


class Fold(NamedTuple):
    """One part of an inner split."""

    bench: Bench
    """The world as it was known."""
    taught: NDArray[np.bool_]
    """(n_users,) whose target logs are learnt from."""
    truth: Truth


class Inner:
    """The inner split of some users' target logs: where ways are tried and epochs are counted.

    Where the sample is some of the target's users, most who are served are not in it: some of its users are held out
    in turn, and served as strangers. Where it is all of them, the newest visits are held out.
    """

    def __init__(self, bench: Bench, sampled: NDArray[np.bool_], *, strangers: bool) -> None:
        """Splits.

        Args:
            bench: What is known.
            sampled: (n_users,) whose target logs may be used.
            strangers: Hold users out, not the newest visits of all.
        """
        least = bench.config.min_validation_users
        if strangers:
            users = np.random.default_rng([bench.seed, 24]).permutation(np.flatnonzero(sampled))
            parts = [users[at::_FOLDS] for at in range(_FOLDS if len(users) < _FOLDS * least else 1)]
            held = [np.isin(np.arange(len(sampled)), part) for part in parts if len(part)]
            self.folds = [_fold(bench, sampled & ~some, some, len(sampled) + 1) for some in held]
        else:
            self.folds = [_fold(bench, sampled, sampled, least)]
        self.n_users = sum(len(fold.truth.users) for fold in self.folds)
        self.sure = self.n_users >= least

    def trial(self, way: Way, source: Model) -> Trial:
        """The epoch that is best; where too few users say so, the first that is no more than a standard error behind.

        Joint training takes the source model's epochs where the inner split has too few users to count them.
        """
        if way is AS_IT_IS:
            return Trial(0, np.concatenate([_measure(fold, way, source) for fold in self.folds]))
        least = int(source[0].facts["epochs"]) if way.source and not self.sure else None
        courses = [self._course(fold, way, source, least) for fold in self.folds]
        course = [np.concatenate(values) for values in zip(*courses, strict=True)]
        if least is not None:
            return Trial(least, course[0])
        at = simplest(course, sure=self.sure)
        return Trial(at, course[at])

    def _course(self, fold: Fold, way: Way, source: Model, only: int | None) -> list[NDArray[np.float64]]:
        """(n_users,) NDCG at the start and after each epoch, or after so many epochs alone."""
        trainer, config, course = fold.bench.trainer(way, fold.taught, source), fold.bench.config, []
        for done in range((config.epochs if only is None else only) + 1):
            if only in (None, done):
                model = trainer.model(fold.bench.item_ids, {}), trainer.rows()
                course.append(_measure(fold, way, model))
            best = int(np.argmax([_mean(values) for values in course])) if course else 0
            if done == only or (len(self.folds) == 1 and only is None and done - best >= config.patience):
                break
            trainer.epoch(done, config.epochs, _quietly)
        return course


def _fold(bench: Bench, taught: NDArray[np.bool_], held: NDArray[np.bool_], least: int) -> Fold:
    world, config = bench.world, bench.config
    theirs = world._replace(users=world.users & held, from_target=world.from_target & held[world.logs.visits.owners])
    found = split(theirs, config.validation_share, least, config.validation_users, bench.seed, _NEWEST)
    return Fold(replace(bench, world=world.before(found.cuts)), taught, found.truth)


def _measure(fold: Fold, way: Way, model: Model) -> NDArray[np.float64]:
    scores = fold.bench.scores(way, fold.taught, model, fold.truth.moment)
    return depth(scores, fold.truth, fold.bench.world.items)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _quietly(_done: int, _loss: float) -> None:
    """Arms tell of themselves when they are done."""
