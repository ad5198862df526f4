"""A task from what the night prepared: shards of logs, and the items of an index."""

import numpy as np
from numpy.typing import NDArray

from xlrec.config import Config
from xlrec.index import ItemIndex
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
