"""Nights on a cluster: their config files, packages and output."""

import json
import subprocess
from typing import Any

from hosts import HADOOP, Hosts

#: As a user would set a client of an S3 API, but for its endpoint.
S3A = {
    "spark.hadoop.fs.s3a.access.key": "x", "spark.hadoop.fs.s3a.secret.key": "x",
    "spark.hadoop.fs.s3a.path.style.access": "true", "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
}  # fmt: skip
S3A_PACKAGES = (f"org.apache.hadoop:hadoop-aws:{HADOOP}",)


def written(hosts: Hosts, config: dict[str, Any]) -> str:
    """The config as a file on the driver's host."""
    path = hosts.folder / "night.yaml"
    path.write_text(json.dumps(config))
    return str(path)


def output_of(done: "subprocess.CompletedProcess[str]") -> str:
    """The last lines of a program's output, without Spark's log from before the session."""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if " INFO " not in line]
    return "\n".join(lines[-80:])
