"""Progress of the Spark jobs of one thread: a job group, and the tasks of its jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final, NamedTuple

from py4j.protocol import Py4JError
from pyspark import SparkContext

_GROUP: Final = "spark.jobGroup.id"
_DESCRIPTION: Final = "spark.job.description"
_numbers = count(1)


class TaskCounts(NamedTuple):
    """Numbers of tasks: done, and known to Spark so far."""

    done: int
    known: int

    @property
    def share(self) -> float:
        """Done over known; 0 where none is known."""
        return self.done / self.known if self.known else 0.0


@contextmanager
def job_group(context: SparkContext | None, name: str) -> Iterator[Callable[[], TaskCounts]]:
    """A group for this thread's Spark jobs, and the function that counts their tasks. Groups may be nested."""
    if context is None:
        yield lambda: TaskCounts(0, 0)
        return
    group = f"{name} {next(_numbers)}"
    before = (context.getLocalProperty(_GROUP), context.getLocalProperty(_DESCRIPTION))
    context.setLocalProperty(_GROUP, group)
    context.setLocalProperty(_DESCRIPTION, name)
    try:
        yield lambda: _tasks(context, group)
    finally:
        try:
            for key, value in zip((_GROUP, _DESCRIPTION), before, strict=True):
                context.setLocalProperty(key, value)  # type: ignore[arg-type]  # None removes it; the stub knows str only
        except (Py4JError, OSError):
            pass  # the session ended within the block: there is nothing left to restore


def _tasks(context: SparkContext, group: str) -> TaskCounts:
    """Tasks of all jobs of the group. A stage shared by several jobs counts once, a skipped one not at all."""
    try:
        tracker = context.statusTracker()
        done = known = 0
        seen: set[int] = set()
        for job in sorted(tracker.getJobIdsForGroup(group)):
            info = tracker.getJobInfo(job)
            ended = info is not None and info.status != "RUNNING"
            for number in info.stageIds if info is not None else ():
                stage = tracker.getStageInfo(number)
                if stage is not None and number not in seen:
                    seen.add(number)
                    done += stage.numCompletedTasks
                    known += stage.numCompletedTasks if ended else stage.numTasks
        return TaskCounts(min(done, known), known)
    except (Py4JError, OSError, AttributeError):
        return TaskCounts(0, 0)  # the session ended meanwhile: progress is never a reason to fail
