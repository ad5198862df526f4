"""Models of the config on the way to the workers: folders of any file system, and files that only the driver has."""

import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from xlrec import encoders, translators
from xlrec.config.models import Config, EmbedConfig, TranslateConfig
from xlrec.lake.delta import Lake
from xlrec.runtime.files import fetched_copy, replaced_folder
from xlrec.runtime.machine import local_folder

#: Folder of the lake below which models of texts lie, by fingerprint, for workers without access to the driver's disk.
ENCODERS = "_encoders"


def with_local_models(spark: SparkSession, config: Config) -> Config:
    """The config with models of texts as folders of the driver's disk where it names them by URL.

    Raises:
        LakeError: a URL cannot be read.
    """
    embed, translate = config.embed, config.translate
    if local_folder(embed.encoder) is None:
        embed = embed.model_copy(update={"encoder": fetched_copy(spark, embed.encoder)})
    if embed.folder is not None:
        embed = embed.model_copy(update={"folder": fetched_copy(spark, embed.folder)})
    if translate.endpoint is None and translate.model is not None and local_folder(translate.model) is None:
        translate = translate.model_copy(update={"model": fetched_copy(spark, translate.model)})
    return config.model_copy(update={"embed": embed, "translate": translate})


def encoder_for_workers(lake: Lake, config: EmbedConfig) -> EmbedConfig:
    """The config as workers can load it; the model's files are on this machine from here on.

    Raises:
        EncoderError: the model cannot be had.
        LakeError: the lake cannot be written.
    """
    folder = encoders.locate_model(config)
    if folder is None or lake.on_one_machine:
        return config
    place = _offered(lake, folder, encoders.fingerprint(config))
    return config.model_copy(update={"folder": place})


def translator_for_workers(lake: Lake, config: TranslateConfig) -> TranslateConfig:
    """Config of the translator for the workers, as `encoder_for_workers` gives one; a server's model has no files."""
    if config.endpoint is not None:
        return config
    folder = translators.locate_model(config)
    if lake.on_one_machine:
        return config
    place = _offered(lake, folder, translators.fingerprint(config))
    return config.model_copy(update={"model": place, "revision": None})


def _offered(lake: Lake, folder: Path, fingerprint: str) -> str:
    files = lake.folder_of_files(f"{ENCODERS}/{fingerprint}")
    if not Path(files.folder).exists():
        with replaced_folder(Path(files.folder)) as new:
            shutil.copytree(folder, new, dirs_exist_ok=True)
    files.keep_in_lake_once(lake.spark)
    return files.share_with_workers(lake.spark)
