"""A task from what the night prepared: shards of logs, and the items of an index."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.recommenders.hybrid import save_all
from xlrec.training.recommender.guard import learn_markets
from xlrec.training.recommender.logs import items_of, read_shards
from xlrec.training.recommender.loop import Process, Task


def task_of(
    config: Config,
    index: str,
    shards: str,
    ages: NDArray[np.float64],
    process: Process = Process(),  # noqa: B008
) -> Task:
    """What the recommender learns from.

    Args:
        config: The whole config.
        index: Folder of the item index.
        shards: Folder of `stages.train.user_logs` as Parquet.
        ages: (n_items,) first_micros, NaN where nobody knows.
        process: This process among those that train together.
    """
    opened = ItemIndex.open(index)
    logs, items = read_shards(shards, opened), items_of(opened, ages)
    return Task(logs, items, config.train.hybrid, config.train.popularity, config.seed, process)


def teach(task: Task, index: str, told: dict[str, Any], say: Callable[[str], None], folder: Path) -> None:
    """Learns what serves each market, and saves it; of several processes, the first does.

    Args:
        task: Of `task_of`.
        index: Folder of the item index.
        told: What the artefact shall say.
        say: Takes lines of progress.
        folder: Of the model; checkpoints lie in it meanwhile.
    """
    opened = ItemIndex.open(index)
    taught = learn_markets(task, opened.item_ids, opened.markets, told, say, folder / "checkpoints")
    if task.process.rank == 0:
        save_all(taught.model, {opened.markets[row]: model for row, model in taught.markets.items()}, folder)
