"""Ways to learn the target from some of its logs: each tried on an inner split of them, then trained on all of them."""

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import FactorsConfig, RetrieveConfig
from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender import learn
from xlrec.training.recommender.logs import Logs
from xlrec.training.recommender.quality import depth, learnt, per_user
from xlrec.training.recommender.scores import Scores, Truth
from xlrec.training.transfer.domains import World, split

#: Share of each user's meetings that an inner split by user takes.
_NEWEST: Final = 1 / 3
#: Newest share of the target's visits, and users of it at most, that an inner split by time takes.
_SHARE, _MOST_USERS = 0.1, 2000
#: Parts of a small sample that are held out in turn; users of a fold that make one sure.
_FOLDS, LEAST_USERS = 3, 100


class Way(NamedTuple):
    """A way to learn."""

    name: str
    source: bool
    """The source's logs are learnt from."""
    target: bool
    """The target's are."""


AS_IT_IS: Final = Way("source as it is", source=True, target=False)
TARGET_ONLY: Final = Way("target only", source=False, target=True)
JOINT: Final = Way("joint", source=True, target=True)
#: In the order of preference where none is ahead for sure: evidence weighs source and target within a joint model.
WAYS: Final = (JOINT, AS_IT_IS, TARGET_ONLY)


@dataclass(frozen=True)
class Bench:
    """A world, and how its models learn."""

    world: World
    item_ids: "pa.Array[Any]"
    markets: tuple[str, ...]
    config: FactorsConfig
    retrieve: RetrieveConfig
    seed: int

    def told(self, way: Way, sampled: NDArray[np.bool_] | None) -> Logs:
        """What a way learns from: the source's logs, those of the target's sample, or both."""
        return self.world.part(sampled if way.target else None, source=way.source)

    def fit(self, way: Way, sampled: NDArray[np.bool_] | None) -> FactorModel:
        """The model of a way, which knows of the items what that way's logs tell."""
        told = self.told(way, sampled)
        return learn(
            told, self.world.known(told), self.config, markets=self.markets, item_ids=self.item_ids, facts={},
            seed=self.seed,
        )  # fmt: skip

    def scores(self, way: Way, sampled: NDArray[np.bool_] | None, model: FactorModel) -> Scores:
        """Of the target's users, served from their histories."""
        items = self.world._replace(items=self.world.known(self.told(way, sampled))).for_sale
        return learnt(model, self.item_ids, items, self.world.read(), self.retrieve)


class Fold(NamedTuple):
    """One part of an inner split."""

    bench: Bench
    """The world as it was known."""
    taught: NDArray[np.bool_]
    """(n_users,) whose target logs are learnt from."""
    truth: Truth


class Inner:
    """The inner split of some users' target logs, where ways are tried.

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
        if strangers:
            users = np.random.default_rng([bench.seed, 24]).permutation(np.flatnonzero(sampled))
            parts = [users[at::_FOLDS] for at in range(_FOLDS if len(users) < _FOLDS * LEAST_USERS else 1)]
            held = [np.isin(np.arange(len(sampled)), part) for part in parts if len(part)]
            self.folds = [_fold(bench, sampled & ~some, some, len(sampled) + 1) for some in held]
        else:
            self.folds = [_fold(bench, sampled, sampled, LEAST_USERS)]
        self.sure = sum(len(fold.truth.users) for fold in self.folds) >= LEAST_USERS

    def trial(self, way: Way) -> NDArray[np.float64]:
        """(n_users,) NDCG of a way for each user of the inner split: at 10, over the whole order where they are few."""
        return np.concatenate([_measure(fold, way, sure=self.sure) for fold in self.folds])


def _fold(bench: Bench, taught: NDArray[np.bool_], held: NDArray[np.bool_], least: int) -> Fold:
    world = bench.world
    theirs = world._replace(users=world.users & held, from_target=world.from_target & held[world.logs.visits.owners])
    found = split(theirs, _SHARE, least, _MOST_USERS, bench.seed, _NEWEST)
    return Fold(replace(bench, world=world.before(found.cuts)), taught, found.truth)


def _measure(fold: Fold, way: Way, *, sure: bool) -> NDArray[np.float64]:
    world = fold.bench.world
    scores = fold.bench.scores(way, fold.taught, fold.bench.fit(way, fold.taught))
    if sure:
        return np.asarray(per_user(scores, fold.truth, world.items, world.read())[:, 0])
    return depth(scores, fold.truth, world.items)
