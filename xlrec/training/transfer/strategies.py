"""Strategies of learning the target from shares of its logs: each is tried on an inner split, then trained on all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import Config
from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender import fit_factor_model
from xlrec.training.recommender.logs import Logs
from xlrec.training.recommender.quality import user_metrics, whole_order_ndcg
from xlrec.training.recommender.scores import Scores, Truth, model_scores, served_vectors
from xlrec.training.transfer.domains import Domains, split_newest

#: Share of each user's meetings that an inner split by user takes.
_NEWEST: Final = 1 / 3
#: Newest share of the target's visits, and users of it at most, that an inner split by time takes.
_SHARE, _MOST_USERS = 0.1, 2000
#: Parts of a small sample that are held out in turn; users of an inner split that make its means sure.
_FOLDS, LEAST_USERS = 3, 100


class Strategy(NamedTuple):
    """A choice of training logs."""

    name: str
    source: bool
    """The source's logs are used."""
    target: bool
    """Those of the target's sample are."""


SOURCE_ONLY: Final = Strategy("source as it is", source=True, target=False)
TARGET_ONLY: Final = Strategy("target only", source=False, target=True)
JOINT: Final = Strategy("joint", source=True, target=True)
#: In the order of preference where none is ahead for sure: within a joint model evidence weighs source and target.
STRATEGIES: Final = (JOINT, SOURCE_ONLY, TARGET_ONLY)


@dataclass(frozen=True)
class Trainer:
    """Two domains, and the constants of models that are trained on them."""

    domains: Domains
    item_ids: "pa.Array[Any]"
    markets: tuple[str, ...]
    config: Config

    def training_logs(self, strategy: Strategy, sampled: NDArray[np.bool_] | None) -> Logs:
        """Logs that a strategy learns from, the target's of (n_users,) bool sampled users; None: nobody's."""
        return self.domains.training_logs(sampled if strategy.target else None, source=strategy.source)

    def fit_strategy(self, strategy: Strategy, sampled: NDArray[np.bool_] | None) -> FactorModel:
        """Model of a strategy; it knows the items' ages from the strategy's own logs.

        `sampled` is (n_users,) bool: target users who are learnt from; None: nobody.
        """
        logs = self.training_logs(strategy, sampled)
        items, config = self.domains.items_known(logs), self.config
        return fit_factor_model(
            logs, items, config.train.factors, markets=self.markets, item_ids=self.item_ids, facts={}, seed=config.seed
        )

    def strategy_scores(self, strategy: Strategy, sampled: NDArray[np.bool_] | None, model: FactorModel) -> Scores:
        """Scores of a strategy's model for the target's users, from their histories.

        `sampled` is (n_users,) bool, as of `fit_strategy`. The scores of (n,) int64 users are (n, n_items) float64.
        """
        items = self.domains.items_known(self.training_logs(strategy, sampled))
        sold = self.domains._replace(items=items).for_sale
        vectors = served_vectors(model, self.item_ids, sold)
        return model_scores(vectors, sold, self.domains.target_histories(), self.config.retrieve)


class Fold(NamedTuple):
    """One part of an inner split."""

    trainer: Trainer
    """On the domains as they were known."""
    sampled: NDArray[np.bool_]
    """(n_users,) whose target logs are learnt from."""
    truth: Truth


class InnerSplit:
    """Inner split of some users' target logs, where strategies are tried.

    A sample of the target's users holds out some of them in turn: most users of the target are not in the sample. The
    whole target holds out the newest visits.
    """

    def __init__(self, trainer: Trainer, sampled: NDArray[np.bool_], *, hold_out_users: bool) -> None:
        """Splits the target logs of (n_users,) bool sampled users; holds users out, or the newest visits of all."""
        if hold_out_users:
            users = np.random.default_rng([trainer.config.seed, 24]).permutation(np.flatnonzero(sampled))
            parts = [users[at::_FOLDS] for at in range(_FOLDS if len(users) < _FOLDS * LEAST_USERS else 1)]
            held_out_users = [np.isin(np.arange(len(sampled)), part) for part in parts if len(part)]
            self.folds = [_fold(trainer, sampled & ~held, held, len(sampled) + 1) for held in held_out_users]
        else:
            self.folds = [_fold(trainer, sampled, sampled, LEAST_USERS)]
        self.sure = sum(len(fold.truth.users) for fold in self.folds) >= LEAST_USERS

    def strategy_ndcg(self, strategy: Strategy) -> NDArray[np.float64]:
        """(n_users,) float64 NDCG of a strategy for each user of the split; over all ranks if users are few."""
        return np.concatenate([_fold_ndcg(fold, strategy, sure=self.sure) for fold in self.folds])


def _fold(trainer: Trainer, sampled: NDArray[np.bool_], held: NDArray[np.bool_], least: int) -> Fold:
    domains = trainer.domains
    theirs = domains._replace(users=domains.users & held)
    inner = split_newest(theirs, _SHARE, least, _MOST_USERS, trainer.config.seed, _NEWEST)
    return Fold(replace(trainer, domains=domains.known_before(inner.cuts)), sampled, inner.truth)


def _fold_ndcg(fold: Fold, strategy: Strategy, *, sure: bool) -> NDArray[np.float64]:
    domains = fold.trainer.domains
    scores = fold.trainer.strategy_scores(strategy, fold.sampled, fold.trainer.fit_strategy(strategy, fold.sampled))
    if sure:
        return np.asarray(user_metrics(scores, fold.truth, domains.items, domains.target_histories())[:, 0])
    return whole_order_ndcg(scores, fold.truth, domains.items)


def simplest(trials: Sequence[NDArray[np.float64]], *, sure: bool) -> int:
    """Place of the best mean; where that is not sure, of the first no more than a standard error behind it.

    Values are (n_users,) float64 each, the preferred first; no users have mean 0. Source: Breiman et al. 1984, the
    one-standard-error rule.
    """
    best = int(np.argmax([mean_ndcg(values) for values in trials]))
    if sure or len(trials[best]) < 2:  # a standard error takes two
        return best
    behind = [trials[best] - values for values in trials]
    return [lag.mean() <= lag.std(ddof=1) / len(lag) ** 0.5 for lag in behind].index(True)


def mean_ndcg(values: NDArray[np.float64]) -> float:
    """Mean of (n_users,) float64 values; 0 without users."""
    return float(values.mean()) if len(values) else 0.0
