"""Where pyspark is not installed: what needs no Spark works, and what does says in one line how to get it."""

import os
import signal
import subprocess
import sys

import pytest

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder


class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j", "delta"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
from xlrec.cli import main

main(sys.argv[1:])
"""


def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", BLOCKED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--help",), "The night"),
        (("run", "--help"), "--config"),
        (("encoders",), "multilingual-e5-small"),
        (("schema",), '"lake"'),
        (("similarity", "red shoes", "rote Schuhe"), "rote Schuhe"),
    ],
)
def test_what_needs_no_spark_works(arguments: tuple[str, ...], said: str) -> None:
    done = ran(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


@pytest.mark.parametrize("command", [("run", "--config", "conf/demo.yaml"), ("doctor",), ("contract",)])
def test_what_needs_spark_says_in_one_line_how_to_get_it(command: tuple[str, ...]) -> None:
    done = ran(*command)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "is missing, and this needs Spark: pip install 'xlrec[local]', or start it by spark-submit" in done.stderr


WAITING = """
import time
from xlrec.cli import main
from xlrec.cli.app import app


@app.command()
def wait():
    print("waiting", flush=True)
    time.sleep(60)


main(["wait"])
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_program_with_one_line_and_its_status(number: signal.Signals, status: int) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WAITING], text=True, **pipes) as program:  # type: ignore[call-overload]
        assert program.stdout.readline() == "waiting\n"
        program.send_signal(number)
        said = program.communicate(timeout=30)[1]
    assert program.returncode == status
    assert said == "xlrec: interrupted; readers keep the last release\n"


def test_spark_submit_without_delta_names_the_option_that_brings_it() -> None:
    blocked = BLOCKED.replace('("pyspark", "py4j", "delta")', '("delta",)')
    environment = os.environ | {"PYSPARK_GATEWAY_PORT": "1"}
    command = [sys.executable, "-c", blocked, "run", "--config", "conf/demo.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 4
    assert "add `--packages io.delta:delta-spark_4." in done.stderr
    assert len(done.stderr.splitlines()) == 1
