"""The transfer experiment on arrays: what a source teaches a target with no logs, with few, and with all of them.

Nothing is chosen on the holdout: the way is, on an inner split of the logs that the target may show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import FactorsConfig, PopularityConfig, RetrieveConfig, TransferConfig
from xlrec.kernels.evaluation.bootstrap import paired
from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender.logs import Logs
from xlrec.training.recommender.quality import per_user, popular, text_mean
from xlrec.training.recommender.scores import Scores, Truth
from xlrec.training.transfer.domains import Split, World, samples, split
from xlrec.training.transfer.figures import Difference, Figure, Key, Summary
from xlrec.training.transfer.strategies import AS_IT_IS, TARGET_ONLY, WAYS, Bench, Inner, Way

Say = Callable[[str], None]
#: Arms that learn nothing, and the two that name what was chosen on the inner split.
POPULARITY: Final = "target popularity"
TEXT: Final = "text mean"
ZERO_SHOT: Final = "zero-shot"
FEW_SHOT: Final = "few-shot"
KEPT: Final = "kept"


@dataclass(frozen=True)
class Settings:
    """How an experiment runs."""

    config: FactorsConfig
    popularity: PopularityConfig
    retrieve: RetrieveConfig
    transfer: TransferConfig
    shares: tuple[float, ...]
    """Ascending, the last one 1."""
    slices: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Choice:
    """What the inner split of a share says."""

    share: float
    n_users: int
    """In the inner split."""
    inner: dict[str, float]
    """NDCG of each way there."""
    few_shot: str
    """The best of those that use the source."""
    kept: str
    """The best of all: the guard against a source that does harm."""
    ahead: dict[str, tuple[float, float, float]]
    """By how much the kept one is ahead of each other, with the interval."""


@dataclass
class Outcome:
    """Everything that a report, a card and a test want to know."""

    figures: list[Figure] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    values: dict[Key, NDArray[np.float64]] = field(default_factory=dict)
    """(n_users, 3) of each arm and share: users with a history, then newcomers."""
    n_users: int = 0
    n_newcomers: int = 0
    n_sampled: dict[float, int] = field(default_factory=dict)
    """Target users in each share."""
    n_visits: dict[str, int] = field(default_factory=dict)
    by_time: bool = True


class Experiment:
    """One source, one target."""

    def __init__(
        self, world: World, item_ids: "pa.Array[Any]", markets: tuple[str, ...], settings: Settings, say: Say
    ) -> None:
        """Splits; trains nothing yet.

        Args:
            world: Who teaches whom.
            item_ids: Of all items.
            markets: Names, row-aligned with the items' `eligible`.
            settings: How it runs.
            say: Takes lines of progress, which hold counts and names only.
        """
        self.whole, self.settings, self.ids, self.markets, self.say = world, settings, item_ids, markets, say
        how = settings.transfer
        self.split: Split = split(world, how.holdout_share, how.min_users, how.max_users, settings.seed)
        known = world.before(self.split.cuts)
        self.bench = self._bench(known)
        self.read = known.read()
        self.samples = dict(zip(settings.shares, samples(known, settings.shares, settings.seed), strict=True))
        self.outcome = Outcome(
            n_users=len(self.split.truth.users), n_newcomers=len(self.split.newcomers.users),
            n_sampled={share: int(users.sum()) for share, users in self.samples.items()},
            n_visits={"source": int(known.from_source.sum()), "target": int(known.from_target.sum())},
            by_time=self.split.by_time,
        )  # fmt: skip
        self._clock = _Clock(self._costs())

    def _bench(self, world: World) -> Bench:
        made = self.settings
        return Bench(world, self.ids, self.markets, made.config, made.retrieve, made.seed)

    def _costs(self) -> list[float]:
        """Visits of each training to come, about, in the order in which they come."""
        source, target = self.outcome.n_visits["source"], self.outcome.n_visits["target"]
        each = [source * way.source + share * target * way.target for share in self.settings.shares for way in WAYS]
        return [float(source), *map(float, each), float(source + target)]

    def run(self) -> Outcome:
        """Measures all arms; `model` afterwards makes the artefact."""
        self._learns_nothing()
        source = self.bench.fit(AS_IT_IS, None)
        self.say(f"source model of {source.facts['n_visits']:,} events{self._clock.tick()}")
        self._measure((ZERO_SHOT, 0.0), self.bench.scores(AS_IT_IS, None, source))
        for share, sampled in self.samples.items() if self.outcome.n_visits["target"] else ():
            self._few_shot(share, sampled)
        self._sum_up()
        return self.outcome

    def _learns_nothing(self) -> None:
        moment, world = self.split.truth.moment, self.bench.world
        told = self.bench.told(TARGET_ONLY, np.ones(world.logs.n_users, dtype=np.bool_))
        self._measure((POPULARITY, 1.0), popular(world.for_sale, told, self.read, moment, self.settings.popularity))
        self._measure((TEXT, 0.0), text_mean(world.for_sale, self.read, self.settings.retrieve))

    def _few_shot(self, share: float, sampled: NDArray[np.bool_]) -> None:
        inner, trials = Inner(self.bench, sampled, strangers=share < 1), {}
        for way in WAYS:
            trials[way] = inner.trial(way)
            if way is AS_IT_IS:  # no share changes it
                self.outcome.values[way.name, share] = self.outcome.values[ZERO_SHOT, 0.0]
            else:
                self._measure((way.name, share), self.bench.scores(way, sampled, self.bench.fit(way, sampled)))
            said = f"inner NDCG {_mean(trials[way]):.4f}{self._clock.tick()}"
            self.say(f"{share:.0%} of the logs, {way.name}: {said}")
        choice = chosen(share, trials, self.settings, sure=inner.sure)
        self.outcome.choices.append(choice)
        self.outcome.values[FEW_SHOT, share] = self.outcome.values[choice.few_shot, share]
        self.outcome.values[KEPT, share] = self.outcome.values[choice.kept, share]

    def model(self) -> FactorModel:
        """The way that was kept for all of the target's logs, trained once more on everything, newest visits too."""
        everyone = np.ones(self.whole.logs.n_users, dtype=np.bool_)
        bench = self._bench(self.whole.before(np.where(everyone, np.inf, 0)))
        choice = self.outcome.choices[-1] if self.outcome.choices else None
        way = next((way for way in WAYS if choice and way.name == choice.kept), AS_IT_IS)
        model = bench.fit(way, everyone)
        self.say(f"{way.name} on everything{self._clock.tick()}")
        return model

    def _measure(self, key: Key, scores: Scores) -> None:
        parts = [self._per_user(scores, truth) for truth in (self.split.truth, self.split.newcomers)]
        self.outcome.values[key] = np.concatenate(parts)

    def _per_user(self, scores: Scores, truth: Truth) -> NDArray[np.float64]:
        return per_user(scores, truth, self.bench.world.items, self.read)

    def _sum_up(self) -> None:
        found, made = self.outcome, self.settings
        users = np.concatenate([self.split.truth.users, self.split.newcomers.users])
        summary = Summary(n_items_met(self.read, users), made.slices, made.seed, made.transfer.bootstrap)
        found.figures = summary.figures(found.values)
        rivals = [(POPULARITY, 1.0), (TEXT, 0.0), (TARGET_ONLY.name, 1.0)]
        ours = [(ZERO_SHOT, 0.0)] + [(name, share) for share in made.shares for name in (FEW_SHOT, KEPT)]
        for one in ours:
            beside = [(ZERO_SHOT, 0.0), (TARGET_ONLY.name, one[1])] if one[1] else []
            for other in dict.fromkeys([*rivals, *beside]):
                found.differences += summary.difference(found.values, one, other)


def chosen(share: float, trials: dict[Way, NDArray[np.float64]], settings: Settings, *, sure: bool) -> Choice:
    """The best way of those that use the source, and of all: by `simplest` where too few users were measured."""
    carried = [way for way in trials if way is not TARGET_ONLY]
    few_shot = carried[simplest([trials[way] for way in carried], sure=sure)]
    kept = (few_shot, TARGET_ONLY)[simplest([trials[few_shot], trials[TARGET_ONLY]], sure=sure)]
    ahead = {
        way.name: paired(trials[kept], other, settings.seed, settings.transfer.bootstrap)
        for way, other in trials.items()
        if way is not kept
    }
    inner = {way.name: _mean(values) for way, values in trials.items()}
    return Choice(share, len(trials[kept]), inner, few_shot.name, kept.name, ahead)


def simplest(course: Sequence[NDArray[np.float64]], *, sure: bool) -> int:
    """The place of the best mean; where that is not sure, of the first no more than a standard error behind it.

    Source: Breiman et al. 1984, the one-standard-error rule.

    Args:
        course: (n_users,) values of each, the preferred first; no users have mean 0.
        sure: There are users enough.
    """
    best = int(np.argmax([_mean(values) for values in course]))
    if sure or len(course[best]) < 2:  # a standard error takes two
        return best
    behind = [course[best] - values for values in course]
    return [each.mean() <= each.std(ddof=1) / len(each) ** 0.5 for each in behind].index(True)


def n_items_met(read: Logs, users: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) distinct items in the histories of some users."""
    indptr, nums = read.visits.indptr, read.visits.nums
    return np.array([len(np.unique(nums[indptr[user] : indptr[user + 1]])) for user in users], dtype=np.int64)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


class _Clock:
    """How many trainings are done, and how long the others take."""

    def __init__(self, costs: Sequence[float]) -> None:
        """Takes the cost of each training, in any unit."""
        self.costs, self.done, self.began = costs, 0, monotonic()

    def tick(self) -> str:
        """One more is done; what to say of it."""
        self.done = min(self.done + 1, len(self.costs))
        did = sum(self.costs[: self.done])
        left = (monotonic() - self.began) / max(did, 1e-9) * sum(self.costs[self.done :])
        return f" · {self.done}/{len(self.costs)} trainings · about {left:,.0f} s left"
