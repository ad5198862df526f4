"""Recommender training in several processes that TorchDistributor starts: on this machine, or over a Spark cluster.

Every process draws the same batches and works on its share of each; gradients are added up. So the steps are those of
one process within rounding.
"""

from typing import Any

import numpy as np


def learn_in_processes(index: str, shards: str, ages: "np.ndarray[Any, Any]", config_json: str, facts: str) -> None:
    """What each process runs: joins the others and learns; the first writes the model into the folder that facts name.

    Args:
        index: Folder of the item index, seen by all processes under this path.
        shards: Folder of the logs.
        ages: (n_items,) first_micros.
        config_json: The whole config.
        facts: JSON: `folder` for the model, and `told`, what the artefact shall say.
    """
    import json
    import sys
    from datetime import timedelta
    from pathlib import Path

    import torch
    from torch import distributed

    from xlrec.config import Config
    from xlrec.index import ItemIndex
    from xlrec.training.recommender import learn
    from xlrec.training.recommender.loop import Process
    from xlrec.training.recommender.task import task_of

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", timeout=timedelta(minutes=30))
    process, told = Process(distributed.get_rank(), distributed.get_world_size()), json.loads(facts)
    try:
        task = task_of(Config.model_validate_json(config_json), index, shards, ages, process)
        say = (lambda line: print(line, file=sys.stderr, flush=True)) if process.rank == 0 else (lambda _: None)  # noqa: T201
        folder = Path(told["folder"])
        model = learn(task, ItemIndex.open(index).item_ids, told["told"], say, folder / "checkpoints")
        if process.rank == 0:
            model.save(folder)
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def train_in_processes(
    n_processes: int, index: str, shards: str, ages: "np.ndarray[Any, Any]", config_json: str, facts: str
) -> None:
    """Runs `learn_in_processes` under TorchDistributor; needs the Spark session that is running.

    With a local master the processes run on this machine, else as a barrier stage on the executors, which must see
    index, shards and the model's folder under the same paths.
    """
    from pyspark.ml.torch.distributor import TorchDistributor
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    local = session is None or str(session.sparkContext.master).startswith("local")
    distributor: Any = TorchDistributor(num_processes=n_processes, local_mode=local, use_gpu=False)
    distributor.run(learn_in_processes, index, shards, ages, config_json, facts)
