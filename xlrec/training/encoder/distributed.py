"""Fine-tuning in several processes, on this machine or on executors; see `xlrec.training.processes`."""

import json
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Final

from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.processes import process_group, process_placement, progress_writer, run_processes

#: Keys of the config that name inputs, by the names under which these travel to executors.
_READ: Final = {
    "texts": ("texts", "path"), "lake": ("texts", "lake", "copied"), "model": ("finetune", "model"),
}  # fmt: skip
#: A file of every sentence-transformers model.
_MODULES: Final = "modules.json"


def _one_process(config_json: str, paths: Mapping[str, str] | None = None, folder: str = "") -> list[list[Any]]:
    """(source, language, recall) of one process; on an executor `paths` are its inputs, `folder` is for its output."""
    from xlrec.training.encoder import adapt_in_process

    config = AdaptConfig.model_validate_json(config_json)
    if paths is not None:
        config = config_on_executor(config, paths, folder)
    with process_group(gpu=True) as (rank, _):
        recalls = adapt_in_process(config, progress_writer(rank), rank)
    return [[source, language, value] for (source, language), value in sorted(recalls.items())]


def adapt_in_processes(config: AdaptConfig) -> dict[tuple[str, str], float]:
    """As `adapt_encoder`, in `finetune.processes` processes; needs a running Spark session.

    On a cluster they are tasks on executors: inputs travel there, and the model comes back to `output` whole. A run on
    executors that was broken off starts anew: its checkpoints lay on their disks.

    Raises:
        XlrecError: as `adapt_encoder`.
        ConfigError: `output` holds something else than a model, on a cluster.
        MachineError: the cluster has no room or lacks packages, or `output` cannot be written.
    """
    from pyspark.sql import SparkSession

    spark = SparkSession.active()
    n_processes = config.finetune.processes if config.finetune is not None else 1
    placement = process_placement(spark.sparkContext.master, dict(spark.sparkContext.getConf().getAll()))
    if placement["local_mode"]:
        recalls = run_processes(n_processes, _one_process, config.model_dump_json())
    else:
        from xlrec.training.executors import require_replaceable, run_on_executors

        output, inputs = Path(config.output).expanduser(), local_inputs(config)
        require_replaceable(output, _MODULES)
        progress_writer(0)(f"training in {n_processes} processes, tasks of {spark.sparkContext.master}")
        recalls = run_on_executors(
            spark, n_processes, _one_process, config.model_dump_json(), inputs, output,
            use_gpu=placement["use_gpu"], within_s=config.spark.executor_within_s,
        )  # fmt: skip
    return {(source, language): value for source, language, value in recalls}


def local_inputs(config: AdaptConfig) -> dict[str, Path]:
    """Inputs on the driver's disk, by the names of `_READ`.

    Processes look for the others on their own machines, where they may be part of an image.
    """
    finetune, lake = config.finetune, config.texts.lake
    named = {"texts": config.texts.path, "lake": lake and lake.copied, "model": finetune and finetune.model}
    paths = {name: Path(place).expanduser() for name, place in named.items() if place}
    return {name: path for name, path in paths.items() if path.exists()}


def config_on_executor(config: AdaptConfig, paths: Mapping[str, str], folder: str) -> AdaptConfig:
    """Config of an executor: inputs are at `paths`, by the names of `_READ`, and outputs go below `folder`."""
    settings = json.loads(config.model_dump_json())
    for name, path in paths.items():
        *sections, key = _READ[name]
        reduce(dict.__getitem__, sections, settings)[key] = path
    return AdaptConfig.model_validate(settings | {"output": f"{folder}/output", "work": f"{folder}/work"})
