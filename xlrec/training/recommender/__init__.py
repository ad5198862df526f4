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
    leaves a model of the texts, popularity and languages alone. `guard.learn_markets` asks of each market whether that
    model should serve it.

    Args:
        task: What to learn from, and how.
        item_ids: All items, row-aligned.
        facts: What the artefact shall say besides.
        say: Takes lines of progress, which hold counts and names only.
        folder: For checkpoints; None: none are kept.
        start: A model to go on from, and the rows of its residuals that the items have.
    """
    from xlrec.training.recommender.inner import fit, try_epochs

    return fit(task, try_epochs(task, item_ids, say, start), item_ids, facts, say, folder, start)[0]
