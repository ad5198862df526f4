"""Recommender training: `learn` makes a `HybridModel` from logs and items, arrays of one process or of several."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from xlrec.recommenders.hybrid import HybridModel
    from xlrec.training.recommender.loop import Start, Task

__all__ = ["learn"]


def learn(
    task: "Task",
    item_ids: "pa.Array[Any]",
    facts: dict[str, Any],
    say: Callable[[str], None],
    folder: Path | None = None,
    start: "Start | None" = None,
) -> "HybridModel":
    """Finds the number of epochs on the newest visits, then learns from all of them for as long.

    The inner split is that of `scoring.inner_cuts`; with too few users in it, one epoch is trained. No example at all
    leaves a model of the texts, popularity and languages alone.

    Args:
        task: What to learn from, and how.
        item_ids: All items, row-aligned.
        facts: What the artefact shall say besides.
        say: Takes lines of progress, which hold counts and names only.
        folder: For checkpoints; None: none are kept.
        start: A model to go on from, and the rows of its residuals that the items have.
    """
    from dataclasses import replace

    import numpy as np

    from xlrec.training.recommender.logs import only
    from xlrec.training.recommender.loop import Course, best_epochs, train_epochs
    from xlrec.training.recommender.scoring import inner_cuts, truth_after

    config, log = task.config, task.logs.visits
    course = Course([], [])
    n_epochs, n_users = 1, 0
    if len(log.nums):
        cuts, moment = inner_cuts(task.logs, config.validation_share, config.min_validation_users)
        truth = truth_after(task.logs, cuts, moment, config.validation_users, task.seed)
        n_users = len(truth.users)
        if n_users >= config.min_validation_users:
            everyone = np.ones(task.logs.n_users, dtype=np.bool_)
            inner = replace(task, logs=only(task.logs, everyone, cuts))
            course = best_epochs(inner, truth, item_ids, say, start)
            n_epochs = course.best
    trainer = train_epochs(task, n_epochs, say, folder, start)
    told = {
        "n_visits": len(log.nums), "n_examples": len(trainer.examples), "n_users": task.logs.n_users,
        "epochs": n_epochs, "inner_users": n_users, "inner_ndcg": [round(one, 6) for one in course.ndcg],
        "inner_markets": [[*row[:2], *(round(one, 6) for one in row[2:])] for row in course.by_market],
    }  # fmt: skip
    return trainer.model(item_ids, {**facts, **told})
