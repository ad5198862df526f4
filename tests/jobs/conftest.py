"""One demo world and one night on it, which all jobs share."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from worlds.demo import N_USERS, night_config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from xlrec.config.models import Config


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Jobs start JVMs or whole nights: all are slow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def demo(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of the demo world."""
    from xlrec.datasets.demo import write_demo

    folder = tmp_path_factory.mktemp("demo")
    write_demo(spark, str(folder), users=N_USERS)
    return folder


@pytest.fixture(scope="session")
def night(spark: "SparkSession", demo: Path, tmp_path_factory: pytest.TempPathFactory) -> "tuple[Config, str]":
    """The config of a published night, and its run_id."""
    from xlrec.config.loading import validate_config
    from xlrec.pipeline.night import nightly

    config = validate_config(night_config(demo, tmp_path_factory.mktemp("lake")))
    return config, nightly(spark, config)
