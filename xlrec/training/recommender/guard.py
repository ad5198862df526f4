"""The guard against negative transfer: every market is served by the model that its own inner split says is best.

Joint: one model of all markets' logs. Transferred: that one, taught on with the market's logs alone. Target only: the
market's logs alone. Another way than joint is kept where it is ahead by more than a standard error: what looks best
among several by less than that mostly looks so by chance, and each more model costs the search another matrix.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.kernels.bootstrap import paired
from xlrec.recommenders.hybrid import HybridModel
from xlrec.training.recommender.choosing import gentle, simplest
from xlrec.training.recommender.inner import Tried, fit, try_epochs
from xlrec.training.recommender.logs import chosen
from xlrec.training.recommender.loop import Start, Task, best_epochs, train_epochs

Say = Callable[[str], None]
JOINT: Final = "joint"
TRANSFERRED: Final = "transferred"
TARGET_ONLY: Final = "target only"
_REPLICATES: Final = 1000
#: Users of the inner split with which a market may have a model of its own.
_LEAST_USERS: Final = 20


class Verdict(NamedTuple):
    """What the inner split says of one market."""

    market: int
    """Its row."""
    n_users: int
    inner: dict[str, float]
    """NDCG@10 of each way."""
    epochs: dict[str, int]
    """After which each way that learns for this market alone was best."""
    kept: str
    ahead: dict[str, tuple[float, float, float]]
    """By how much the kept way is ahead of each other, with the 95 % interval."""

    def told(self, name: str) -> dict[str, Any]:
        """For the model's facts, rounded."""
        return {
            "market": name, "users": self.n_users, "kept": self.kept,
            "inner": {way: round(value, 6) for way, value in self.inner.items()},
            "ahead": {way: [round(one, 6) for one in values] for way, values in self.ahead.items()},
        }  # fmt: skip


class Taught(NamedTuple):
    """What serves: one model for all markets, and the markets that have their own."""

    model: HybridModel
    markets: dict[int, HybridModel]


def learn_markets(
    task: Task, item_ids: "pa.Array[Any]", names: tuple[str, ...], facts: dict[str, Any], say: Say,
    folder: Path | None = None,
) -> Taught:  # fmt: skip
    """`learn`, and for each market what its inner split says is best; without `guard` in the config, joint for all.

    Markets with fewer than 20 users in the inner split are served by the joint model, as is everyone where a single
    market has logs.

    Args:
        task: What to learn from, and how.
        item_ids: All items, row-aligned.
        names: Of the markets, by row.
        facts: What the artefact shall say besides.
        say: Takes lines of progress.
        folder: For checkpoints of the joint training.
    """
    tried = try_epochs(task, item_ids, say)
    joint = fit(task, tried, item_ids, facts, say, folder)
    teaching = np.unique(task.logs.markets[task.logs.visits.owners])
    if tried is None or not task.config.guard or len(teaching) < 2:
        return Taught(joint[0], {})
    verdicts = [judged(tried, int(row[0]), item_ids) for row in tried.course.by_market if row[1] >= _LEAST_USERS]
    own = {}
    for verdict in verdicts:
        say(f"market {names[verdict.market]}: {_said(verdict)}")
        if verdict.kept != JOINT:
            own[verdict.market] = _fit(task, verdict, joint, item_ids, facts, say)
    told = {**joint[0].facts, "guard": [verdict.told(names[verdict.market]) for verdict in verdicts]}
    return Taught(HybridModel(joint[0].arrays, joint[0].item_ids, told), own)


def judged(tried: Tried, market: int, item_ids: "pa.Array[Any]") -> Verdict:
    """The three ways on the inner split's users of one market."""
    there = tried.task.logs.markets[tried.truth.users] == market
    truth = tried.truth.where(there)
    values, epochs = {JOINT: tried.course.values[there]}, {}
    for way in (TRANSFERRED, TARGET_ONLY):
        started = way == TRANSFERRED
        start = tried.course.model if started else None
        course = best_epochs(market_task(tried.task, market, started=started), truth, item_ids, _quietly, start)
        values[way], epochs[way] = course.values, course.best
    ways = list(values)
    kept = ways[simplest([values[way] for way in ways], sure=False)]
    ahead = {way: paired(values[kept], values[way], tried.task.seed, _REPLICATES) for way in ways if way != kept}
    inner = {way: float(values[way].mean()) for way in ways}
    return Verdict(market, int(there.sum()), inner, epochs, kept, ahead)


def market_task(task: Task, market: int, *, started: bool) -> Task:
    """The same with the visits of one market's users alone; popularity is still that of all events."""
    logs = task.logs
    mine = np.asarray(logs.markets == market)
    visits: NDArray[np.bool_] = mine[logs.visits.owners]
    config = gentle(task.config, int(visits.sum()), started=started)
    return replace(task, logs=chosen(logs, visits, np.ones(len(logs.event_users), dtype=np.bool_)), config=config)


def _fit(
    task: Task, verdict: Verdict, joint: Start, item_ids: "pa.Array[Any]", facts: dict[str, Any], say: Say
) -> HybridModel:
    started = verdict.kept == TRANSFERRED
    own = market_task(task, verdict.market, started=started)
    trainer = train_epochs(own, verdict.epochs[verdict.kept], say, None, joint if started else None)
    return trainer.model(item_ids, {**facts, "kept": verdict.kept, "n_visits": len(own.logs.visits.nums)})


def _said(verdict: Verdict) -> str:
    inner = ", ".join(f"{way} {value:.4f}" for way, value in verdict.inner.items())
    return f"{verdict.kept} is kept · inner NDCG@10 of {verdict.n_users:,} users: {inner}"


def _quietly(_: str) -> None:
    """What is tried tells of itself in one line when it is done."""
