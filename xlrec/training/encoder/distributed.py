"""Fine-tuning in several processes; see `xlrec.training.processes`."""

from typing import Any

from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.processes import joined, run_processes, teller


def _one_process(config_json: str) -> list[list[Any]]:
    """What each process runs: trains on its own batches, and gives the figures."""
    from xlrec.training.encoder import train

    with joined(gpu=True) as (rank, _):
        found = train(AdaptConfig.model_validate_json(config_json), teller(rank), rank)
    return [[source, language, value] for (source, language), value in sorted(found.items())]


def train_in_processes(config: AdaptConfig) -> dict[tuple[str, str], float]:
    """As `adapt`, in as many processes as `finetune.processes` says; needs a Spark session that is running.

    Raises:
        EncoderError: a process failed, or as `adapt`.
        InputError: as `adapt`.
    """
    n_processes = config.finetune.processes if config.finetune is not None else 1
    found = run_processes(n_processes, _one_process, config.model_dump_json(), gpu=True)
    return {(source, language): value for source, language, value in found}
