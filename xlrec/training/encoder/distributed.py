"""Fine-tuning in several processes that TorchDistributor starts; on one machine, or over a Spark cluster."""

import json
from typing import Any

from xlrec.training.encoder.config import AdaptConfig


def _one_process(config_json: str) -> str:
    """What each process runs: joins the others, trains on its own batches, and gives the figures as JSON."""
    import sys

    import torch
    from torch import distributed

    from xlrec.training.encoder import train

    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank = distributed.get_rank()
    if torch.cuda.is_available():
        torch.cuda.set_device(rank % torch.cuda.device_count())
    try:
        config = AdaptConfig.model_validate_json(config_json)
        found = train(config, lambda line: print(line, file=sys.stderr) if rank == 0 else None, rank)  # noqa: T201
        return json.dumps([[source, language, value] for (source, language), value in sorted(found.items())])
    finally:
        distributed.destroy_process_group()


def train_in_processes(config: AdaptConfig) -> dict[tuple[str, str], float]:
    """As `adapt`, in as many processes as `finetune.processes` says; needs a Spark session that is running."""
    import torch
    from pyspark.ml.torch.distributor import TorchDistributor

    n_processes = config.finetune.processes if config.finetune is not None else 1
    distributor: Any = TorchDistributor(num_processes=n_processes, local_mode=True, use_gpu=torch.cuda.is_available())
    rows = json.loads(distributor.run(_one_process, config.model_dump_json()))
    return {(source, language): value for source, language, value in rows}
