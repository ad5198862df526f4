"""Where pyspark is not installed: what needs no Spark works, and what does says in one line how to get it."""

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
