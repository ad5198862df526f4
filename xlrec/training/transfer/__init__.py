"""Transfer experiment on arrays: models of a target domain learnt from a source domain and from shares of its own logs.

The strategy is chosen on an inner split of the target's known logs, never on the holdout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import Config
from xlrec.kernels.evaluation.bootstrap import paired_difference
from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender.logs import first_meetings
from xlrec.training.recommender.quality import popularity_scores, text_scores, user_metrics
from xlrec.training.recommender.scores import Scores
from xlrec.training.transfer.domains import Domains, HoldoutSplit, nested_samples, split_newest
from xlrec.training.transfer.figures import Difference, Figure, Key, Summary
from xlrec.training.transfer.strategies import (
    SOURCE_ONLY,
    STRATEGIES,
    TARGET_ONLY,
    InnerSplit,
    Strategy,
    Trainer,
    mean_ndcg,
    simplest,
)

#: Baselines that learn nothing, and names of the strategies that the inner split chose.
POPULARITY: Final = "target popularity"
TEXT: Final = "text mean"
ZERO_SHOT: Final = "zero-shot"
FEW_SHOT: Final = "few-shot"
KEPT: Final = "kept"


@dataclass(frozen=True)
class Choice:
    """Strategies chosen for one share of the target's logs, on its inner split."""

    share: float
    n_users: int
    """In the inner split."""
    inner: dict[str, float]
    """NDCG of each strategy there."""
    few_shot: str
    """The best strategy that uses the source."""
    kept: str
    """The best strategy of all: the guard against a source that does harm."""
    ahead: dict[str, tuple[float, float, float]]
    """Mean lead of the kept strategy over each other one, with its interval."""


@dataclass
class Outcome:
    """Results of an experiment, for reports, cards and tests."""

    figures: list[Figure] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    values: dict[Key, NDArray[np.float64]] = field(default_factory=dict)
    """(n_users, 3) METRICS of each strategy and share: users with a history, then newcomers."""
    n_users: int = 0
    n_newcomers: int = 0
    n_sampled: dict[float, int] = field(default_factory=dict)
    """Target users in each share."""
    n_visits: dict[str, int] = field(default_factory=dict)
    by_time: bool = True


class Experiment:
    """One source, one target."""

    def __init__(
        self,
        domains: Domains,
        item_ids: "pa.Array[Any]",
        markets: tuple[str, ...],
        config: Config,
        shares: Sequence[float],
        log: Callable[[str], None],
    ) -> None:
        """Splits; trains nothing yet.

        Shares of the target's users are ascending, the last one 1; `markets` names the rows of the items' `eligible`;
        `log` gets counts and names only.
        """
        self.whole, self.config, self.ids, self.markets, self.log = domains, config, item_ids, markets, log
        limits = config.transfer
        self.split: HoldoutSplit = split_newest(
            domains, limits.holdout_share, limits.min_users, limits.max_users, config.seed
        )
        known = domains.known_before(self.split.cuts)
        self.trainer = Trainer(known, item_ids, markets, config)
        self.histories = known.target_histories()
        self.samples = dict(zip(shares, nested_samples(known, shares, config.seed), strict=True))
        self.outcome = Outcome(
            n_users=len(self.split.truth.users), n_newcomers=len(self.split.newcomers.users),
            n_sampled={share: int(users.sum()) for share, users in self.samples.items()},
            n_visits={"source": int(known.from_source.sum()), "target": int(known.from_target.sum())},
            by_time=self.split.by_time,
        )  # fmt: skip
        self._costs, self._done, self._began = self._training_costs(), 0, monotonic()

    def _training_costs(self) -> list[float]:
        """Visits of each training to come, about, in the order in which they come."""
        source, target = self.outcome.n_visits["source"], self.outcome.n_visits["target"]
        shares = [source * s.source + share * target * s.target for share in self.samples for s in STRATEGIES]
        return [float(source), *map(float, shares), float(source + target)]

    def _tick(self) -> str:
        """Progress after one more training, and about the time that the others take."""
        self._done = min(self._done + 1, len(self._costs))
        spent, left = sum(self._costs[: self._done]), sum(self._costs[self._done :])
        seconds = (monotonic() - self._began) / max(spent, 1e-9) * left
        return f" · {self._done}/{len(self._costs)} trainings · about {seconds:,.0f} s left"

    def run(self) -> Outcome:
        """Figures of all strategies and baselines; `model` afterwards makes the artefact."""
        self._measure_baselines()
        source = self.trainer.fit_strategy(SOURCE_ONLY, None)
        self.log(f"source model of {source.facts['n_visits']:,} events{self._tick()}")
        self._measure((ZERO_SHOT, 0.0), self.trainer.strategy_scores(SOURCE_ONLY, None, source))
        for share, sampled in self.samples.items() if self.outcome.n_visits["target"] else ():
            self._try_share(share, sampled)
        self._summarise()
        return self.outcome

    def _measure_baselines(self) -> None:
        moment, domains = self.split.truth.moment, self.trainer.domains
        everyone = np.ones(domains.logs.n_users, dtype=np.bool_)
        logs = self.trainer.training_logs(TARGET_ONLY, everyone)
        popular = popularity_scores(domains.for_sale, logs, self.histories, moment, self.config.train.popularity)
        self._measure((POPULARITY, 1.0), popular)
        self._measure((TEXT, 0.0), text_scores(domains.for_sale, self.histories, self.config.retrieve))

    def _try_share(self, share: float, sampled: NDArray[np.bool_]) -> None:
        inner, trials = InnerSplit(self.trainer, sampled, hold_out_users=share < 1), {}
        for strategy in STRATEGIES:
            trials[strategy] = inner.strategy_ndcg(strategy)
            if strategy is SOURCE_ONLY:  # no share changes it
                self.outcome.values[strategy.name, share] = self.outcome.values[ZERO_SHOT, 0.0]
            else:
                model = self.trainer.fit_strategy(strategy, sampled)
                self._measure((strategy.name, share), self.trainer.strategy_scores(strategy, sampled, model))
            progress = f"inner NDCG {mean_ndcg(trials[strategy]):.4f}{self._tick()}"
            self.log(f"{share:.0%} of the logs, {strategy.name}: {progress}")
        choice = choose_strategy(share, trials, self.config, sure=inner.sure)
        self.outcome.choices.append(choice)
        self.outcome.values[FEW_SHOT, share] = self.outcome.values[choice.few_shot, share]
        self.outcome.values[KEPT, share] = self.outcome.values[choice.kept, share]

    def model(self) -> FactorModel:
        """The strategy that was kept for all of the target's logs, trained once more with the holdout."""
        everyone = np.ones(self.whole.logs.n_users, dtype=np.bool_)
        domains = self.whole.known_before(np.where(everyone, np.inf, 0))
        trainer = Trainer(domains, self.ids, self.markets, self.config)
        kept = self.outcome.choices[-1].kept if self.outcome.choices else SOURCE_ONLY.name
        strategy = next(strategy for strategy in STRATEGIES if strategy.name == kept)
        model = trainer.fit_strategy(strategy, everyone)
        self.log(f"{strategy.name} on everything{self._tick()}")
        return model

    def _measure(self, key: Key, scores: Scores) -> None:
        items = self.trainer.domains.items
        truths = (self.split.truth, self.split.newcomers)
        self.outcome.values[key] = np.concatenate([user_metrics(scores, t, items, self.histories) for t in truths])

    def _summarise(self) -> None:
        outcome, config = self.outcome, self.config
        users = np.concatenate([self.split.truth.users, self.split.newcomers.users])
        visits = self.histories.visits
        lengths = np.bincount(visits.owners[first_meetings(visits)], minlength=self.histories.n_users)[users]
        summary = Summary(lengths, config.evaluate.history_slices, config.seed, config.transfer.bootstrap)
        outcome.figures = summary.figures(outcome.values)
        rivals = [(POPULARITY, 1.0), (TEXT, 0.0), (TARGET_ONLY.name, 1.0)]
        ours = [(ZERO_SHOT, 0.0)] + [(name, share) for share in self.samples for name in (FEW_SHOT, KEPT)]
        for key in ours:
            beside = [(ZERO_SHOT, 0.0), (TARGET_ONLY.name, key[1])] if key[1] else []
            for other in dict.fromkeys([*rivals, *beside]):
                outcome.differences += summary.paired_differences(outcome.values, key, other)


def choose_strategy(share: float, trials: dict[Strategy, NDArray[np.float64]], config: Config, *, sure: bool) -> Choice:
    """The best strategy that uses the source, and the best of all; by `simplest` where too few users were measured.

    `trials` holds (n_users,) float64 NDCG of each strategy.
    """
    carried = [strategy for strategy in trials if strategy is not TARGET_ONLY]
    few_shot = carried[simplest([trials[strategy] for strategy in carried], sure=sure)]
    kept = (few_shot, TARGET_ONLY)[simplest([trials[few_shot], trials[TARGET_ONLY]], sure=sure)]
    ahead = {
        strategy.name: paired_difference(trials[kept], other, config.seed, config.transfer.bootstrap)
        for strategy, other in trials.items()
        if strategy is not kept
    }
    inner = {strategy.name: mean_ndcg(values) for strategy, values in trials.items()}
    return Choice(share, len(trials[kept]), inner, few_shot.name, kept.name, ahead)
