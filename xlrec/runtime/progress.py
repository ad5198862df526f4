"""Progress of a run: a live line per stage on a terminal, a line every few seconds in logs, a summary at the end.

Everything goes to stderr and holds names and counts only: never a text, never a user.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from xlrec.runtime.tracking import TaskCounts, job_group

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LIVE_SECONDS: Final = 0.5  # between two looks at Spark while a terminal shows a live line


@dataclass(frozen=True)
class StageSummary:
    """Figures of one stage that ended; unknown counts are None."""

    name: str
    rows_in: int | None
    rows_out: int | None
    rejected: int | None
    seconds: float
    note: str = ""
    failed: bool = False


class StageProgress:
    """One running stage: its expected units, its tasks and its recorded result."""

    def __init__(self, name: str, total: int | None, unit: str, clock: Callable[[], float] = monotonic) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.tasks = TaskCounts(0, 0)
        #: Of the work done, in [0, 1]. It never falls, although Spark learns of jobs one by one.
        self.share = 0.0
        self._measure: Callable[[], float] | None = None
        self._clock, self._started = clock, clock()
        self._recorded: tuple[int | None, int | None, int | None, str] = (None, None, None, "")

    def follow_share(self, measure: Callable[[], float]) -> None:
        """Takes the share of units done from `measure`, where most of Spark's tasks do other work."""
        self._measure = measure

    def record_result(
        self, rows_in: int | None = None, rows_out: int | None = None, rejected: int | None = None, note: str = ""
    ) -> None:
        """Records the result of the stage for the summary; a later call replaces an earlier one."""
        self._recorded = (rows_in, rows_out, rejected, note)

    def update_tasks(self, tasks: TaskCounts) -> None:
        """Updates the tasks, and the share done by them or by `follow_share`."""
        self.tasks = tasks
        self.share = max(self.share, self._measure() if self._measure else tasks.share)

    def status_line(self) -> str:
        """Status line of the stage: `12/40 tasks so far · about 3,000 of 10,000 texts · 610 texts/s · 11 s left`."""
        parts = [f"{self.tasks.done:,}/{self.tasks.known:,} tasks so far"] if self.tasks.known else []
        elapsed = self._clock() - self._started
        if self.total is not None:
            rows = int(self.total * self.share)
            parts.append(f"about {rows:,} of {self.total:,} {self.unit}")
            if rows:
                parts.append(f"{_rate(rows, elapsed)} {self.unit}/s")
        if 0 < self.share < 1:  # 1: Spark has done all that it knows of, and may learn of more
            parts.append(f"{duration_text(elapsed * (1 - self.share) / self.share)} left")
        return " · ".join(parts or ["working"])

    def stage_summary(self, failed: bool = False) -> StageSummary:
        """The stage as a row of the summary."""
        rows_in, rows_out, rejected, note = self._recorded
        return StageSummary(self.name, rows_in, rows_out, rejected, self._clock() - self._started, note, failed)

    def last_line(self, figures: StageSummary) -> str:
        """Last line of the stage, such as `10,000 in · 9,990 out · 10 rejected · 16 s · 625 texts/s`."""
        named = (("in", figures.rows_in), ("out", figures.rows_out), ("rejected", figures.rejected))
        parts = ["failed"] if figures.failed else []
        parts += [f"{count:,} {name}" for name, count in named if count is not None]
        parts.append(duration_text(figures.seconds))
        if self.total and not figures.failed:
            parts.append(f"{_rate(self.total, figures.seconds)} {self.unit}/s")
        return " · ".join([*parts, *filter(None, [figures.note])])


class Progress:
    """The stages of a run, shown while they run and kept for the summary; stages may be nested."""

    def __init__(
        self,
        spark: "SparkSession | None" = None,
        *,
        stream: TextIO | None = None,
        log_seconds: float = 5.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Nothing is shown before the first stage; without a session, time only. No stream: stderr.

        `log_seconds` lie between two lines of one stage where the stream is no terminal.
        """
        self._spark, self._console = spark, Console(file=stream or sys.stderr, highlight=False)
        self._log_seconds, self._clock = log_seconds, clock
        self._finished: list[StageSummary] = []

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "rows") -> Iterator[StageProgress]:
        """Progress of a stage, shown while the block runs; an error in the block passes through.

        `total` is in units such as texts, where known: those done are this times the share of the tasks.
        """
        stage = StageProgress(name, total, unit, self._clock)
        failed = True
        try:
            context = self._spark.sparkContext if self._spark is not None else None
            with job_group(context, f"xlrec {name}") as look, self._watched(stage, look):
                yield stage
                failed = False
        finally:
            self._finished.append(stage.stage_summary(failed))
            self._write(stage, stage.last_line(self._finished[-1]), "red" if failed else "green")

    def summary(self) -> list[StageSummary]:
        """Every stage that ended, in that order."""
        return list(self._finished)

    def print_summary(self) -> None:
        """Prints a table of all stages: rows in, out, rejected and seconds."""
        table = Table(box=SIMPLE_HEAD, title="Stages", title_justify="left", title_style="bold")
        table.add_column("stage")
        for name in ("rows in", "rows out", "rejected", "seconds"):
            table.add_column(name, justify="right")
        table.add_column("")
        for stage in self._finished:
            numbers = (stage.rows_in, stage.rows_out, stage.rejected)
            table.add_row(
                stage.name,
                *("–" if number is None else f"{number:,}" for number in numbers),
                f"{stage.seconds:,.1f}",
                Text("failed" if stage.failed else stage.note, style="red" if stage.failed else "dim"),
            )
        self._console.print(table)

    @contextmanager
    def _watched(self, stage: StageProgress, look: Callable[[], TaskCounts]) -> Iterator[None]:
        """Polls Spark from a thread of its own until the block ends."""
        stop = threading.Event()
        follow = self._live if self._console.is_terminal else self._log
        watcher = threading.Thread(target=follow, args=(stage, look, stop), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join(timeout=5.0)

    def _live(self, stage: StageProgress, look: Callable[[], TaskCounts], stop: threading.Event) -> None:
        name, line = TextColumn("[bold]{task.description}"), TextColumn("{task.fields[line]}")
        columns = (SpinnerColumn(), name, BarColumn(bar_width=24), line, TimeElapsedColumn())
        with RichProgress(*columns, console=self._console, transient=True) as shown:
            task = shown.add_task(stage.name, total=None, line="")
            while not stop.wait(_LIVE_SECONDS):
                stage.update_tasks(look())
                total = 1.0 if stage.share > 0 else None  # None: a bar that pulses
                shown.update(task, total=total, completed=stage.share, line=stage.status_line())

    def _log(self, stage: StageProgress, look: Callable[[], TaskCounts], stop: threading.Event) -> None:
        while not stop.wait(self._log_seconds):
            stage.update_tasks(look())
            self._write(stage, stage.status_line(), "dim")

    def _write(self, stage: StageProgress, line: str, style: str) -> None:
        self._console.print(Text.assemble((f"{stage.name:<10}", f"bold {style}"), " ", line), soft_wrap=True)


def duration_text(seconds: float) -> str:
    """Text of a duration: 0.4 s, 16 s, 4 min 05 s, 2 h 07 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _rate(units: int, seconds: float) -> str:
    rate = units / max(seconds, 1e-3)
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
