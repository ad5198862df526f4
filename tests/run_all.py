"""The whole suite as two processes, one a core: tests without a JVM beside those of Spark and the jobs.

python tests/run_all.py [PYTEST OPTIONS]

The second process prints as it goes, the first one once it has ended. The closing line has the numbers of both.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
SUITES = (("tests/unit", "tests/contracts"), ("tests/spark", "tests/jobs"))


def start(suite: tuple[str, ...], options: list[str], out: IO[bytes] | int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "pytest", *suite, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)


def stream(process: "subprocess.Popen[bytes]") -> bytes:
    """Copies a process's output to stdout; returns it."""
    assert process.stdout
    chunks = []
    while chunk := process.stdout.read1(4096):  # type: ignore[attr-defined]  # a BufferedReader
        chunks.append(chunk)
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    return b"".join(chunks)


def closing_counts(output: bytes) -> Counter[str]:
    """Numbers by outcome in pytest's closing line."""
    lines = output.decode(errors="replace").strip().splitlines()
    return Counter({kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z]+)", lines[-1].split(" in ")[0])})


def main(options: list[str]) -> int:
    began = time.monotonic()
    with tempfile.TemporaryFile() as quiet:
        quick = start(SUITES[0], options, quiet)
        spark = start(SUITES[1], options, subprocess.PIPE)
        try:
            loud = stream(spark)
            statuses = quick.wait(), spark.wait()
        finally:
            for process in (quick, spark):
                process.kill()
        quiet.seek(0)
        output = quiet.read()
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
    totals = ", ".join(f"{n} {kind}" for kind, n in (closing_counts(output) + closing_counts(loud)).items())
    sys.stdout.write(f"{totals} in {time.monotonic() - began:.2f}s\n")
    return max(map(abs, statuses))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
