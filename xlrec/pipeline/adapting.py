"""Encoder training with Spark where it needs some: a lake is copied to Parquet, several processes get a session."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyspark import StorageLevel
from pyspark.sql import functions as F

from xlrec.errors import InputError
from xlrec.index.files import PAIRS
from xlrec.lake.delta import Lake
from xlrec.runtime import doctor
from xlrec.runtime.files import fetched_copy
from xlrec.runtime.machine import local_folder
from xlrec.runtime.session import start_session
from xlrec.stages import parallel
from xlrec.stages.split import evaluation_date
from xlrec.tables import EVENTS, ITEMS, TEXTS
from xlrec.training import encoder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from xlrec.training.encoder import AdaptConfig

Log = Callable[[str], None]
#: (section, key) of inputs that may lie in any file system that Spark knows.
_MAYBE_URLS: Final = (("texts", "path"), ("finetune", "model"))


def adapt_encoder(config: "AdaptConfig", log: Log) -> dict[tuple[str, str], float]:
    """Recalls of `training.encoder.adapt_encoder`; Spark runs only while it is needed, or its session is there already.

    Raises:
        LakeError: `texts.lake` has no tables yet.
        InputError: the texts give no pairs.
        EncoderError: the model cannot be read.
        MachineError: a cluster does not suffice for several processes.
    """
    several = config.finetune is not None and config.finetune.processes > 1
    if config.texts.lake is None and not several and not _urls(config):
        return encoder.adapt_encoder(config, log)
    with _session(config) as spark:
        config = with_local_inputs(spark, config)
        if config.texts.lake is not None:
            config = copy_lake(spark, config, log)
        if several:
            return encoder.adapt_encoder(config, log)
    return encoder.adapt_encoder(config, log)


def with_local_inputs(spark: "SparkSession", config: "AdaptConfig") -> "AdaptConfig":
    """The config with texts and model on the driver's disk where it names them by URL.

    Raises:
        LakeError: a URL cannot be read.
    """
    settings = config.model_dump()
    for section, key in _urls(config):
        settings[section][key] = fetched_copy(spark, settings[section][key])
    return type(config).model_validate(settings)


def _urls(config: "AdaptConfig") -> list[tuple[str, str]]:
    """(section, key) of inputs that are named by URL."""
    settings = config.model_dump()
    named = [(section, key) for section, key in _MAYBE_URLS if settings[section] and settings[section][key]]
    return [(section, key) for section, key in named if local_folder(settings[section][key]) is None]


@contextmanager
def _session(config: "AdaptConfig") -> "Iterator[SparkSession]":
    """The session that runs already, or one for this block."""
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is None:
        doctor.require_machine()
    spark = running or start_session(config.spark, "xlrec adapt-encoder")
    try:
        yield spark
    finally:
        if running is None:
            spark.stop()


def copy_lake(spark: "SparkSession", config: "AdaptConfig", log: Log) -> "AdaptConfig":
    """The config with `texts.lake.copied`: the lake's texts and choices as Parquet in the work folder.

    The folder's name is a hash of the lake's state: an unchanged lake is read once, a changed one starts a new run.

    Raises:
        LakeError: the lake has no tables yet.
        InputError: no event is before `until`.
    """
    settings = config.texts.lake
    if settings is None:
        return config
    lake = Lake(spark, settings.folder)
    versions = [lake.table_version(table) for table in (TEXTS, ITEMS, EVENTS)]
    facts = f"{settings.model_dump_json(exclude={'copied'})} {versions}"
    folder = Path(config.work).absolute() / f"lake-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    if not (folder / "texts" / "_SUCCESS").is_file():
        texts = lake.read_table(TEXTS)
        usable = parallel.usable_texts(texts, settings).persist(StorageLevel.DISK_ONLY)
        events = lake.read_table(EVENTS)
        if settings.until is not None:
            events = events.where(F.col("timestamp") < F.lit(f"{settings.until} 00:00:00+00:00").cast("timestamp"))
        day = next((row["run_date"] for row in evaluation_date(events).collect()), None)  # one row
        if day is None and settings.until is not None:
            raise InputError(f"texts.lake.until: no event of {settings.folder} is before {settings.until}: move it")
        files = replace(lake.folder_of_files(f"_adapt/{folder.name}"), folder=str(folder))
        counted = files.subfolder(PAIRS)
        pairs = parallel.chosen_pairs(events, lake.read_table(ITEMS), usable, settings, counted).persist()
        files.collect_rows(pairs, "choices")
        counted.delete_everywhere(spark)
        files.collect_rows(parallel.parallel_texts(usable, pairs), "texts")
        pairs.unpersist()
        n_texts, n_usable = texts.count(), usable.count()
        usable.unpersist()
        log(
            f"lake: {n_texts:,} texts, {n_texts - n_usable:,} left out as too short, in an unknown language or too many"
        )
    lake_config = settings.model_copy(update={"copied": str(folder)})
    return config.model_copy(update={"texts": config.texts.model_copy(update={"lake": lake_config})})
