"""Progress without Spark: lines, estimates and the summary, on a clock that the test turns."""

import io
import time

import pytest

from xlrec.runtime.progress import Progress, StageProgress, duration_text
from xlrec.runtime.tracking import TaskCounts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_stage_without_spark_is_timed_and_summed_up() -> None:
    clock, out = Clock(), io.StringIO()
    progress = Progress(stream=out, clock=clock)
    with progress.stage("embed", total=1000, unit="texts") as stage:
        clock.now += 4
        stage.record_result(rows_in=1000, rows_out=990, rejected=10, note="10 texts were empty")
    (found,) = progress.summary()
    assert (found.name, found.rows_in, found.rows_out, found.rejected) == ("embed", 1000, 990, 10)
    assert found.seconds == 4
    assert not found.failed
    line = out.getvalue()
    assert "1,000 in · 990 out · 10 rejected · 4.0 s · 250 texts/s · 10 texts were empty" in line
    assert line.count("\n") == 1


def test_an_error_passes_through_and_the_stage_is_kept_as_failed() -> None:
    out = io.StringIO()
    progress = Progress(stream=out)
    with pytest.raises(ValueError, match="boom"), progress.stage("rank"):
        raise ValueError("boom")
    assert progress.summary()[0].failed
    assert "failed" in out.getvalue()
    assert "boom" not in out.getvalue()  # messages may hold texts or users


def test_stages_may_lie_within_one_another() -> None:
    progress = Progress(stream=io.StringIO())
    with progress.stage("evaluate"), progress.stage("retrieve"):
        pass
    assert [stage.name for stage in progress.summary()] == ["retrieve", "evaluate"]


def test_a_log_gets_a_line_every_few_seconds() -> None:
    out = io.StringIO()
    progress = Progress(stream=out, log_seconds=0.02)
    with progress.stage("train"):
        time.sleep(0.3)
    assert out.getvalue().count("train") >= 3


def test_rows_rate_and_time_left_are_estimated_from_the_share_of_tasks() -> None:
    clock = Clock()
    stage = StageProgress("embed", 10_000, "texts", clock)
    clock.now += 10
    stage.update_tasks(TaskCounts(10, 40))
    assert stage.status_line() == "10/40 tasks so far · about 2,500 of 10,000 texts · 250 texts/s · 30 s left"


def test_the_share_never_falls_when_spark_learns_of_more_tasks() -> None:
    stage = StageProgress("embed", None, "rows")
    stage.update_tasks(TaskCounts(3, 4))
    stage.update_tasks(TaskCounts(4, 16))
    assert stage.share == 0.75
    assert stage.status_line().startswith("4/16 tasks so far")


def test_a_stage_that_has_shown_nothing_yet_says_that_it_works() -> None:
    assert StageProgress("train", None, "rows").status_line() == "working"


def test_the_summary_table_has_a_row_per_stage() -> None:
    out = io.StringIO()
    progress = Progress(stream=out)
    with progress.stage("prepare") as stage:
        stage.record_result(rows_in=1_234_567, rejected=0)
    progress.print_summary()
    printed = out.getvalue()
    assert "1,234,567" in printed
    assert "–" in printed  # rows out were not given


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (245, "4 min 05 s"),
        (7621, "2 h 07 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration_text(seconds) == said


def test_a_stage_that_says_what_is_done_is_not_told_by_tasks_that_do_other_work() -> None:
    clock = Clock()
    stage = StageProgress("recommend", 1000, "users", clock)
    stage.follow_share(lambda: 0.25)
    clock.now += 10
    stage.update_tasks(TaskCounts(19, 20))
    assert stage.status_line() == "19/20 tasks so far · about 250 of 1,000 users · 25 users/s · 30 s left"
