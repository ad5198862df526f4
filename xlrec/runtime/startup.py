"""Holds back what the JVM says on stderr while Spark starts: sixty lines that help only where it fails."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_STDERR = 2


@dataclass
class Startup:
    """What the JVM has said so far; `succeeded` drops it, and what comes later passes through."""

    lines: list[bytes] = field(default_factory=list)
    passing: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, line: bytes, target: int) -> None:
        """Keeps a line, or passes it on."""
        with self.lock:
            if self.passing:
                os.write(target, line)
            else:
                self.lines.append(line)

    def end(self, target: int, *, shown: bool) -> None:
        """From here on lines pass through; those held back are shown or dropped."""
        with self.lock:
            self.passing = True
            if shown and self.lines:
                os.write(target, b"".join(self.lines))
            self.lines.clear()


@contextmanager
def held_back() -> Iterator[None]:
    """Processes started within get a stderr whose lines come out only if the block fails; later ones always do.

    The process's own stderr is the same again after the block. Where it has none, nothing is held back.
    """
    try:
        target = os.dup(_STDERR)
    except OSError:
        yield
        return
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    reader, writer = os.pipe()
    os.dup2(writer, _STDERR)
    os.close(writer)
    startup = Startup()
    threading.Thread(target=_pump, args=(reader, target, startup), daemon=True).start()
    failed = True
    try:
        yield
        failed = False
    finally:
        os.dup2(target, _STDERR)
        startup.end(target, shown=failed)


def _pump(reader: int, target: int, startup: Startup) -> None:
    """Moves lines until the last process that holds the pipe has ended."""
    with os.fdopen(reader, "rb", buffering=0) as source, suppress(OSError):
        rest = b""
        while chunk := source.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                startup.take(line + b"\n", target)
        if rest:
            startup.take(rest, target)
