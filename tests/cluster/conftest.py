"""Inputs, what one machine makes of them, and a cluster that shares no disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Hosts
from nights import run_of, told

from xlrec.datasets.demo import write_demo
from xlrec.pipeline.night import nightly
from xlrec.settings import validate


@pytest.fixture(scope="session")
def demo(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(spark, str(folder), users=120)
    return folder


@pytest.fixture(scope="session")
def alone(spark: Any, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Hash of the lists of one machine."""
    config = validate(told(str(demo), str(tmp_path_factory.mktemp("lake"))))
    run_id = nightly(spark, config)
    return str(run_of(spark, config.lake, run_id)["content_hash"])


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """A master, and no worker yet."""
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    try:
        made.start_master()
        yield made
    finally:
        made.close()
