"""Fine-tuning in several processes that TorchDistributor starts: on this machine, or as tasks on Spark's executors."""

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from xlrec import errors
from xlrec.training.encoder.config import AdaptConfig


def _one_process(config_json: str) -> str:
    """What each process runs: joins the others, trains on its own batches, and gives the figures as JSON.

    An error that says what to do is given as (class, message), as all processes meet it alike.
    """
    import os

    import torch
    from torch import distributed

    from xlrec.training.encoder import train

    n_gpus, n_here = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    distributed.init_process_group("nccl" if n_gpus >= n_here else "gloo")  # nccl wants a GPU for each process
    rank = distributed.get_rank()
    if n_gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % n_gpus)
    try:
        config = AdaptConfig.model_validate_json(config_json)
        found = train(config, lambda line: print(line, file=sys.stderr) if rank == 0 else None, rank)  # noqa: T201
        figures = [[source, language, value] for (source, language), value in sorted(found.items())]
        return json.dumps({"figures": figures})
    except errors.XlrecError as error:
        return json.dumps({"error": [type(error).__name__, str(error)]})
    finally:
        distributed.destroy_process_group()


def placement(master: str | None, settings: Mapping[str, str]) -> dict[str, bool]:
    """Where TorchDistributor runs the processes, as its arguments.

    On this machine where the master is local: the processes then see its GPUs as they are, which Spark need not know.
    On any other master on the executors, in one barrier stage, with a GPU each where a task gets a whole one.

    Args:
        master: of the session.
        settings: of the session.
    """
    local = master is not None and (master == "local" or master.startswith("local["))
    amount = float(settings.get("spark.task.resource.gpu.amount", "0"))
    return {"local_mode": local, "use_gpu": not local and amount >= 1}


def train_in_processes(config: AdaptConfig) -> dict[tuple[str, str], float]:
    """As `adapt`, in as many processes as `finetune.processes` says; needs a Spark session that is running.

    Raises:
        EncoderError: a process failed, or as `adapt`.
        InputError: as `adapt`.
    """
    from pyspark.ml.torch.distributor import TorchDistributor
    from pyspark.sql import SparkSession

    n_processes = config.finetune.processes if config.finetune is not None else 1
    context = SparkSession.active().sparkContext
    where: Any = placement(context.master, dict(context.getConf().getAll()))
    distributor: Any = TorchDistributor(num_processes=n_processes, **where)
    with redirect_stdout(sys.stderr):  # where progress belongs
        found = json.loads(distributor.run(_one_process, config.model_dump_json()))
    if "error" in found:
        name, message = found["error"]
        raise getattr(errors, name, errors.EncoderError)(message)
    return {(source, language): value for source, language, value in found["figures"]}
