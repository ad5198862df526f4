"""What a starting JVM says on stderr: dropped where it starts, shown where it does not, passed through later."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = (
    "import sys, time; print('noise', file=sys.stderr, flush=True); time.sleep({wait}); print('later', file=sys.stderr)"
)


def run(body: str) -> str:
    """stderr of a process of its own: the real descriptor 2 is what counts here."""
    code = f"""
import subprocess, sys, time
from xlrec.runtime.startup import held_back
def child(wait):
    return subprocess.Popen([sys.executable, "-c", {CHILD!r}.format(wait=wait)])
{body}
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr


def test_what_is_said_before_the_start_succeeds_is_dropped_and_what_comes_later_is_not() -> None:
    said = run(
        """
with held_back():
    started = child(2)
    time.sleep(1)
started.wait()
time.sleep(0.5)
print("mine", file=sys.stderr)
"""
    )
    assert "noise" not in said
    assert "later" in said
    assert "mine" in said


def test_all_is_shown_where_the_start_fails() -> None:
    said = run(
        """
try:
    with held_back():
        child(0).wait()
        time.sleep(0.5)
        raise OSError("no java")
except OSError:
    pass
"""
    )
    assert "noise" in said
    assert "later" in said


def test_a_process_without_stderr_starts_all_the_same() -> None:
    code = "import os; os.close(2); from xlrec.runtime.startup import held_back\nwith held_back(): print('fine')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "fine\n"
