"""What each kind of event is worth, learnt on the inner split: arrays only.

One pass over the kinds, those with most events first. A kind's weight is tried at a few multiples; the model learns
from the older visits so weighed, and the users of the search half say how well it finds what they chose later. What
they chose hangs on no trial: multiples are above 0, so the same visits count in all of them, each by another weight.
The other half of the users was never looked at, and says what the weights found are worth.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from xlrec.errors import InputError
from xlrec.index import ItemIndex
from xlrec.kernels.attention import visits
from xlrec.kernels.bootstrap import paired
from xlrec.kernels.csr import indptr_of
from xlrec.training.recommender.choosing import simplest
from xlrec.training.recommender.logs import Logs, logs_of, only
from xlrec.training.recommender.loop import Course, Task, best_epochs, measure, train_epochs
from xlrec.training.recommender.scoring import Truth, inner_cuts, truth_after

Say = Callable[[str], None]
#: Multiples that are tried of a kind's weight: those that change less come first.
MULTIPLES: Final = (0.5, 2.0, 0.25, 4.0)
#: Kinds that are tried, at most: those with most events.
_MOST_KINDS: Final = 8
_REPLICATES: Final = 1000


class Kinds(NamedTuple):
    """The kind of each positive event of some logs."""

    names: tuple[str, ...]
    """Ascending."""
    of: NDArray[np.int32]
    """(n_events,) row in `names`, aligned with the logs' events; -1 for an event whose weight no kind sets."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """(len(names),) events of each."""
        return np.bincount(self.of[self.of >= 0], minlength=len(self.names))


class Trial(NamedTuple):
    """One multiple of one kind, the kinds before it as they were accepted."""

    kind: int
    multiple: float
    ndcg: float
    """Of the search half's users."""
    kept: bool


class Found(NamedTuple):
    """What the search found, and what users that it did not look at say of it."""

    multiples: NDArray[np.float64]
    """(n_kinds,) of the configured weights; 1 where nothing else was ahead by more than a standard error."""
    trials: tuple[Trial, ...]
    epochs: int
    """Passes of every training: those that the configured weights were best after."""
    searched: float
    """NDCG@10 of the search half's users with the configured weights."""
    n_search: int
    n_unseen: int
    before: float
    """NDCG@10 of the unseen users with the configured weights."""
    after: float
    """With those found."""
    ahead: tuple[float, float, float]
    """Mean of after minus before, paired over the unseen users, with its 95 % interval."""

    @property
    def changed(self) -> bool:
        """The search accepted another weight."""
        return bool((self.multiples != 1).any())

    @property
    def sure(self) -> bool:
        """The unseen users are better off by what was found: the interval lies above 0."""
        return self.changed and self.ahead[1] > 0

    @property
    def recommended(self) -> NDArray[np.float64]:
        """(n_kinds,) the multiples found where that is sure, else 1: the configured weights."""
        return self.multiples if self.sure else np.ones_like(self.multiples)


def read_kinds(folder: str | Path, index: ItemIndex) -> tuple[Logs, Kinds]:
    """The logs and their events' kinds, of Parquet of `stages.train.user_logs` with kinds."""
    table = ds.dataset(str(folder), format="parquet").to_table()
    return logs_of(table, index.market_num, index.languages), kinds_of(table)


def kinds_of(table: pa.Table) -> Kinds:
    """The kinds of the events of `logs.logs_of`, in their order.

    Args:
        table: The rows that `logs_of` takes, whose log has `event` besides.
    """
    table = table.sort_by("user_key").combine_chunks()
    log: Any = pc.list_flatten(table["log"])
    log = log.combine_chunks() if isinstance(log, pa.ChunkedArray) else log
    encoded: Any = pc.filter(log.field("event"), pc.greater(log.field("weight"), pa.scalar(0.0))).dictionary_encode()
    seen = encoded.dictionary.to_pylist()
    names = tuple(sorted(seen))
    rows = np.array([*(names.index(name) for name in seen), -1], dtype=np.int32)
    return Kinds(names, rows[encoded.indices.fill_null(len(seen)).to_numpy(zero_copy_only=False)])


def weighed(logs: Logs, kinds: Kinds, multiples: NDArray[np.float64]) -> Logs:
    """The logs with each kind's events weighed so many times as much: the same visits, by other weights.

    Args:
        logs: All, with the configured weights.
        kinds: Of their events.
        multiples: (n_kinds,) above 0.
    """
    weights = logs.event_weights * np.append(multiples, 1.0)[kinds.of]  # -1 is the last
    indptr = indptr_of(np.bincount(logs.event_users, minlength=logs.n_users))
    made = visits(indptr, logs.event_micros, logs.event_nums, weights)
    return logs._replace(visits=made, event_weights=weights)


class Search:
    """Trains and measures one choice of multiples after another on the same split."""

    def __init__(self, task: Task, kinds: Kinds, item_ids: "pa.Array[Any]") -> None:
        config = task.config
        self.task, self.kinds, self.item_ids = task, kinds, item_ids
        self.cuts, moment = inner_cuts(task.logs, config.validation_share, config.min_validation_users)
        truth = truth_after(task.logs, self.cuts, moment, config.validation_users, task.seed)
        self.n_users = len(truth.users)
        search = np.zeros(self.n_users, dtype=np.bool_)
        search[np.random.default_rng([task.seed, 17]).permutation(self.n_users)[: (self.n_users + 1) // 2]] = True
        self.search, self.unseen = truth.where(search), truth.where(~search)

    def inner(self, multiples: NDArray[np.float64]) -> Task:
        """The task with the logs before each user's cut, so weighed."""
        logs = weighed(self.task.logs, self.kinds, multiples)
        return replace(self.task, logs=only(logs, np.ones(logs.n_users, dtype=np.bool_), self.cuts))

    def values(self, multiples: NDArray[np.float64], n_epochs: int, truth: Truth) -> NDArray[np.float64]:
        """(n,) NDCG@10 of the truth's users, of a model that learnt so many epochs."""
        task = self.inner(multiples)
        trainer = train_epochs(task, n_epochs, _quietly)
        return measure(trainer.model(self.item_ids, {}), trainer.rows(), task, truth)


def learn_weights(task: Task, kinds: Kinds, item_ids: "pa.Array[Any]", say: Say) -> Found:
    """Searches the multiples on half of the inner split's users, and measures them on the other half.

    Trains at most 4 times a kind, for as many epochs as the configured weights are best after. Of more than 8 kinds,
    those with most events are tried. Another multiple is accepted where it is ahead of the weight as it is by more than
    a standard error, paired over users; of several within one of the best, the one that changes least.

    Args:
        task: What to learn from, with the configured weights.
        kinds: Of its logs' events.
        item_ids: All items, row-aligned.
        say: Takes lines of progress.

    Raises:
        InputError: one kind of event alone, or too few users in the inner split.
    """
    _check_kinds(kinds)
    search = Search(task, kinds, item_ids)
    if search.n_users < task.config.min_validation_users:
        raise InputError(
            f"the inner split has {search.n_users:,} users who met something before and after its cut, learning event "
            f"weights takes train.hybrid.min_validation_users = {task.config.min_validation_users:,}: "
            "take more --users, or wait for more logs"
        )
    multiples = np.ones(len(kinds.names))
    say(f"learning with the configured weights · {len(search.search.users):,} users say how it goes")
    course = best_epochs(search.inner(multiples), search.search, item_ids, say)
    best, trials = course.values, list[Trial]()
    order = np.argsort(-kinds.counts, kind="stable")[:_MOST_KINDS]
    began, total = monotonic(), len(order) * len(MULTIPLES)
    for kind in order:
        tried = [best]
        for multiple in MULTIPLES:
            trial = multiples.copy()
            trial[kind] = multiple
            tried.append(search.values(trial, course.best, search.search))
            done = len(trials) + len(tried) - 1
            left = (monotonic() - began) / done * (total - done)
            name = f"{kinds.names[kind]} × {multiple:g}"
            say(f"trial {done}/{total} · {name} · NDCG@10 {tried[-1].mean():.4f} · {left:,.0f} s left")
        place = simplest(tried, sure=False)
        pairs = enumerate(zip(MULTIPLES, tried[1:], strict=True), 1)
        trials += [Trial(int(kind), one, float(values.mean()), at == place) for at, (one, values) in pairs]
        if place:
            best, multiples[kind] = tried[place], MULTIPLES[place - 1]
    return _measured(search, multiples, tuple(trials), course)


def _measured(search: Search, multiples: NDArray[np.float64], trials: tuple[Trial, ...], course: Course) -> Found:
    """The multiples found beside the configured weights, on the users that the search did not look at."""
    before = measure(*course.model, search.inner(np.ones_like(multiples)), search.unseen)
    after = search.values(multiples, course.best, search.unseen) if (multiples != 1).any() else before
    ahead = paired(after, before, search.task.seed, _REPLICATES)
    return Found(
        multiples, trials, course.best, float(course.values.mean()), len(course.values), len(before),
        float(before.mean()), float(after.mean()), ahead,
    )  # fmt: skip


def _check_kinds(kinds: Kinds) -> None:
    if len(kinds.names) < 2:
        raise InputError(
            f"kinds of events that show a preference: {', '.join(kinds.names) or 'none'}; weighing them takes two: "
            "log more kinds in interactions.event, or leave prepare.event_weights as it is"
        )


def _quietly(_: str) -> None:
    """A trial tells of itself in one line when it is done."""
