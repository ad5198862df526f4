"""The inner split of a training: where epochs are counted, before everything is learnt from for as long."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from xlrec.recommenders.hybrid import HybridModel
from xlrec.training.recommender.logs import only
from xlrec.training.recommender.loop import Course, Start, Task, best_epochs, train_epochs
from xlrec.training.recommender.scoring import Truth, inner_cuts, truth_after

Say = Callable[[str], None]


class Tried(NamedTuple):
    """What an inner split told."""

    task: Task
    """With the logs before each user's cut."""
    truth: Truth
    course: Course


def try_epochs(task: Task, item_ids: "pa.Array[Any]", say: Say, start: Start | None = None) -> Tried | None:
    """Trains on the older visits for as long as the newest say; None where fewer than `min_validation_users` can."""
    config = task.config
    if not len(task.logs.visits.nums):
        return None
    cuts, moment = inner_cuts(task.logs, config.validation_share, config.min_validation_users)
    truth = truth_after(task.logs, cuts, moment, config.validation_users, task.seed)
    if len(truth.users) < config.min_validation_users:
        return None
    everyone = np.ones(task.logs.n_users, dtype=np.bool_)
    inner = replace(task, logs=only(task.logs, everyone, cuts))
    return Tried(inner, truth, best_epochs(inner, truth, item_ids, say, start))


def fit(
    task: Task, tried: Tried | None, item_ids: "pa.Array[Any]", facts: dict[str, Any], say: Say,
    folder: Path | None = None, start: Start | None = None,
) -> Start:  # fmt: skip
    """Learns from everything, for the epochs that were best, or one; the model and the rows of its residuals.

    Args:
        task: What to learn from.
        tried: Of `try_epochs`.
        item_ids: All items, row-aligned.
        facts: What the artefact shall say besides.
        say: Takes lines of progress.
        folder: For checkpoints; None: none are kept.
        start: A model to go on from, and the rows of its residuals that the items have.
    """
    n_epochs = tried.course.best if tried else 1
    trainer = train_epochs(task, n_epochs, say, folder, start)
    course, by_market = (tried.course.ndcg, tried.course.by_market) if tried else ([], [])
    told = {
        "n_visits": len(task.logs.visits.nums), "n_examples": len(trainer.examples), "n_users": task.logs.n_users,
        "epochs": n_epochs, "inner_users": len(tried.truth.users) if tried else 0,
        "inner_ndcg": [round(one, 6) for one in course],
        "inner_markets": [[*row[:2], *(round(one, 6) for one in row[2:])] for row in by_market],
    }  # fmt: skip
    model: HybridModel = trainer.model(item_ids, {**facts, **told})
    return model, trainer.rows()
