"""Recommender training in several processes; see `xlrec.training.processes`.

Every process draws the same batches and works on its share of each; gradients are added up. So the steps are those of
one process within rounding.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrec.training.processes import joined, run_processes, teller


def _one_process(index: str, shards: str, ages: NDArray[np.float64], config_json: str, facts: dict[str, Any]) -> None:
    """What each process runs: learns; the first writes the model."""
    from pathlib import Path

    import torch

    from xlrec.config import Config
    from xlrec.training.recommender.loop import Process
    from xlrec.training.recommender.task import task_of, teach

    torch.set_num_threads(1)
    with joined(gpu=False) as (rank, world):
        task = task_of(Config.model_validate_json(config_json), index, shards, ages, Process(rank, world))
        teach(task, index, facts["told"], teller(rank), Path(facts["folder"]))


def train_in_processes(
    n_processes: int, index: str, shards: str, ages: NDArray[np.float64], config_json: str, facts: dict[str, Any]
) -> None:
    """Learns in that many processes, which must see index, shards and the model's folder under the same paths.

    Args:
        n_processes: How many; needs the Spark session that is running.
        index: Folder of the item index.
        shards: Folder of the logs.
        ages: (n_items,) first_micros.
        config_json: The whole config.
        facts: `folder` for the model, and `told`, what the artefact shall say.
    """
    run_processes(n_processes, _one_process, index, shards, ages, config_json, facts, gpu=False)
