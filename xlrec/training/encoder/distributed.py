"""Fine-tuning in several processes, on this machine or on executors; see `xlrec.training.processes`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from xlrec.config.models import EmbedConfig
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.processes import joined, placement, run_processes, teller

#: Keys of the config that name what is read, by the names under which it travels to executors.
_READ: Final = {
    "texts": ("texts", "path"), "lake": ("texts", "lake", "copied"), "model": ("finetune", "model"),
    "teacher": ("loss", "teacher"),
}  # fmt: skip
#: A file of every sentence-transformers model.
_MODULES: Final = "modules.json"


def _one_process(config_json: str, places: Mapping[str, str] | None = None, own: str = "") -> list[list[Any]]:
    """What each process runs: trains on its own batches, and gives the figures.

    Args:
        config_json: as the driver has it.
        places: on an executor, where it has what the config names, by the names of `_READ`.
        own: on an executor, folder for what it makes.
    """
    from xlrec.training.encoder import train

    config = AdaptConfig.model_validate_json(config_json)
    if places is not None:
        config = placed(config, places, own)
    with joined(gpu=True) as (rank, _):
        found = train(config, teller(rank), rank)
    return [[source, language, value] for (source, language), value in sorted(found.items())]


def train_in_processes(config: AdaptConfig) -> dict[tuple[str, str], float]:
    """As `adapt`, in as many processes as `finetune.processes` says; needs a Spark session that is running.

    On a cluster they are tasks on executors: what they read travels there, and the model comes back to `output` whole.
    A run on executors that was broken off starts anew: its checkpoints lay on their disks.

    Raises:
        EncoderError: a process failed, or as `adapt`.
        InputError: as `adapt`.
        ConfigError: `output` holds something else than a model, on a cluster.
        MachineError: the cluster has no room or lacks packages, or `output` cannot be written.
    """
    from pyspark.sql import SparkSession

    spark = SparkSession.active()
    n_processes = config.finetune.processes if config.finetune is not None else 1
    where = placement(spark.sparkContext.master, dict(spark.sparkContext.getConf().getAll()))
    if where["local_mode"]:
        found = run_processes(n_processes, _one_process, config.model_dump_json())
    else:
        from xlrec.training.executors import run_on_executors
        from xlrec.training.parcels import require_room

        output, read = Path(config.output).expanduser(), inputs_of(config)
        require_room(output, _MODULES)
        teller(0)(f"training in {n_processes} processes, tasks of {spark.sparkContext.master}")
        found = run_on_executors(
            spark, n_processes, _one_process, config.model_dump_json(), read, output,
            use_gpu=where["use_gpu"], within_s=config.spark.executor_within_s, like="model",
        )  # fmt: skip
    return {(source, language): value for source, language, value in found}


def inputs_of(config: AdaptConfig) -> dict[str, Path]:
    """What the processes read of the driver's disk, by the names of `_READ`.

    What is not there they look for on their own machines, where it may be part of an image, and say so where it is not.

    Raises:
        EncoderError: the teacher cannot be had.
    """
    from xlrec import encoders

    told = config.model_dump()
    named = {name: _value(told, keys) for name, keys in _READ.items()}
    found = {name: Path(place).expanduser() for name, place in named.items() if place and name != "teacher"}
    teacher = named["teacher"]
    if teacher is not None and (folder := encoders.locate(teacher)) is not None:
        found["teacher"] = folder
    return {name: place for name, place in found.items() if place.exists()}


def placed(config: AdaptConfig, places: Mapping[str, str], own: str) -> AdaptConfig:
    """The config of a machine that has its inputs elsewhere.

    Args:
        config: as the driver has it.
        places: by the names of `_READ`; what is not among them stays as it is named.
        own: folder for what is made.
    """
    told = json.loads(config.model_dump_json())
    for name, place in places.items():
        *outer, last = _READ[name]
        section = _value(told, tuple(outer))
        if name == "teacher":  # whose name may tell of its prompts and pooling
            place = EmbedConfig(encoder=section[last], folder=place).model_dump_json()
        section[last] = place
    return AdaptConfig.model_validate(told | {"output": f"{own}/output", "work": f"{own}/work"})


def _value(told: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """A value below sections of which some may be absent; None there."""
    found: Any = told
    for key in keys:
        found = None if found is None else found[key]
    return found
