"""Lists of one machine, and a cluster that shares no disk, with HDFS and an S3 API."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from hosts import Hosts, free_port, reachable
from nights import S3A
from worlds.demo import INPUTS, run_row

from xlrec.config.models import Config
from xlrec.runtime.hadoop import FileSystem


@pytest.fixture(scope="session")
def alone(spark: Any, night: tuple[Config, str]) -> str:
    """Hash of the lists of one machine."""
    config, run_id = night
    return str(run_row(spark, config.lake, run_id)["content_hash"])


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """A master and two workers."""
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    try:
        made.start_master()
        for number in (1, 2):
            made.start_worker(number)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def hdfs(spark: Any, hosts: Hosts, demo: Path) -> str:
    """The URL of HDFS, with the inputs below it."""
    url = hosts.start_hdfs()
    for name in INPUTS:
        FileSystem(spark, f"{url}/demo/{name}").put_folder(demo / name)
    return url


@pytest.fixture(scope="module")
def s3(hosts: Hosts, demo: Path) -> dict[str, str]:
    """Settings of a client of an S3 API, with the inputs in a bucket."""
    port = free_port(hosts.driver)
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", hosts.driver, "-p", str(port)]
    hosts.start("s3", command, hosts.driver)
    hosts.wait_for(lambda: reachable(hosts.driver, port), "the S3 API")
    endpoint = f"http://{hosts.driver}:{port}"

    def put(name: str, content: bytes) -> None:
        kind = {"Content-Type": "application/octet-stream"}
        urlopen(Request(f"{endpoint}/{name}", content, kind, method="PUT")).close()

    put("bucket", b"")
    for path in (path for name in INPUTS for path in (demo / name).rglob("*.parquet")):
        put(f"bucket/demo/{path.relative_to(demo).as_posix()}", path.read_bytes())
    return S3A | {"spark.hadoop.fs.s3a.endpoint": endpoint}
