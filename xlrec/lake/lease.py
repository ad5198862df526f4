"""Heartbeats of a run: a small file beside the tables, rewritten by its driver every few seconds."""

import threading
import time
from contextlib import suppress
from typing import Final, Self

from xlrec.errors import LakeError
from xlrec.lake.delta import Lake

#: Folder of the lake; a file a run.
HEARTBEATS: Final = "_heartbeats"
#: Missed beats after which a run counts as dead.
MISSED: Final = 4


class Heartbeat:
    """Heartbeat of a run inside a `with` block, from a thread of its own. A beat that fails counts as missed."""

    def __init__(self, lake: Lake, run_id: str, every_s: float) -> None:
        """Writes the first beat.

        Raises:
            LakeError: the lake cannot be written.
        """
        self.lake, self.name, self.every_s = lake, f"{HEARTBEATS}/{run_id}", every_s
        self._ended, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)
        self._beat()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self.every_s):
            with suppress(LakeError, OSError):
                self._beat()

    def _beat(self) -> None:
        self.lake.write_file(self.name, f"{time.time_ns()}".encode())


def is_beating(lake: Lake, run_id: str, every_s: float) -> bool:
    """Whether a run is alive: its file changes within the time of four beats. No other machine's clock matters."""
    end, first = time.monotonic() + MISSED * every_s, lake.read_file(f"{HEARTBEATS}/{run_id}")
    while time.monotonic() < end:
        time.sleep(every_s / 4)
        now = lake.read_file(f"{HEARTBEATS}/{run_id}")
        if now and now != first:
            return True
    return False
