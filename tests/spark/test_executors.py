"""Processes that run as tasks and see nothing of the driver but what is sent; here the tasks of one machine."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xlrec.errors import EncoderError, InputError, MachineError
from xlrec.training import barrier, executors
from xlrec.training.executors import require_slots, run_on_executors, task_slots

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run(spark: "SparkSession", work: Callable[..., Any], inputs: dict[str, Path], output: Path) -> Any:
    return run_on_executors(spark, 2, work, "argument", inputs, output, use_gpu=False, within_s=1)


def seen(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_processes_read_goes_there_and_what_the_first_writes_comes_back(
    spark: "SparkSession", tmp_path: Path
) -> None:
    (tmp_path / "model" / "1_Pooling").mkdir(parents=True)
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "a.parquet").write_bytes(bytes(range(256)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "older").write_text("of an older model")

    def work(argument: str, places: dict[str, str], own: str) -> list[Any]:
        from xlrec.training.processes import process_group

        made = Path(own, "output", "below")
        made.mkdir(parents=True)
        with process_group(gpu=False) as (rank, n):
            (made / "file").write_bytes(Path(places["texts"]).read_bytes() + bytes([rank]))
            (made.parent / "weights").write_bytes(bytes(20_000_000) + b"end")  # of several parts
            inputs = sorted(one.relative_to(places["model"]).as_posix() for one in Path(places["model"]).rglob("*"))
        return [argument, rank, n, inputs, Path(places["texts"]).name, places["texts"], own]

    inputs = {"model": tmp_path / "model", "texts": tmp_path / "a.parquet"}
    found = run(spark, work, inputs, tmp_path / "out")
    assert found[:5] == ["argument", 0, 2, ["1_Pooling", "1_Pooling/config.json"], "a.parquet"]
    weights = bytes(20_000_000) + b"end"
    assert seen(tmp_path / "out") == {"below/file": bytes(range(256)) + b"\0", "weights": weights}
    assert not found[5].startswith(str(tmp_path))
    assert not Path(found[6]).exists()
    assert spark.sparkContext._jsc.sc().allAddedArchives().isEmpty()  # type: ignore[union-attr]


def test_what_one_process_refuses_is_said_in_its_own_words(spark: "SparkSession", tmp_path: Path) -> None:
    def work(*_: object) -> None:
        if os.environ["RANK"] == "1":
            raise InputError("texts.path: name another")

    with pytest.raises(InputError, match=r"^texts.path: name another$"):
        run(spark, work, {}, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_process_that_crashes_is_one_line_and_leaves_the_older_model(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("of an older model")

    def work(*_: object) -> None:
        from torch import distributed

        from xlrec.training.processes import process_group

        with process_group(gpu=False) as (rank, _n):
            if rank == 1:
                raise ValueError("no such token")
            distributed.barrier()  # says at once that the other has gone

    with pytest.raises(
        EncoderError, match=r"^process 1 of the training broke off on .* \(ValueError: no such token\): its trace"
    ):
        run(spark, work, {}, tmp_path)
    assert seen(tmp_path) == {"modules.json": b"of an older model"}


def test_a_process_that_is_killed_says_what_may_help(spark: "SparkSession", tmp_path: Path) -> None:
    def work(*_: object) -> None:
        os.kill(os.getpid(), 9)

    with pytest.raises(EncoderError, match=r"^process 0 of the training was ended on .*spark.executor.memoryOverhead"):
        run(spark, work, {}, tmp_path / "out")


def test_an_output_that_cannot_be_written_is_named(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("mine")
    with pytest.raises(MachineError, match=r"^output: .* cannot be written"):
        run(spark, print, {}, tmp_path / "diary" / "model")


def test_room_is_counted_before_the_work(spark: "SparkSession") -> None:
    assert task_slots(spark) == 2
    require_slots(spark, 2, 0)
    with pytest.raises(MachineError, match=r"3 processes are tasks .* has room for 2 after 0.1 s"):
        require_slots(spark, 3, 0.1)


def test_executors_that_come_later_are_waited_for(spark: "SparkSession", monkeypatch: pytest.MonkeyPatch) -> None:
    there = iter([0, 1, 3])
    monkeypatch.setattr(executors, "task_slots", lambda _: next(there))
    require_slots(spark, 3, 60)
    assert not list(there)


def test_a_machine_without_a_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "MODULES", ("numpy", "no_such_module"))
    name, message = json.loads(barrier._missing_packages("10.0.0.7"))["error"]
    assert name == "MachineError"
    assert "on 10.0.0.7: no no_such_module: install" in message


def test_the_interface_is_the_one_that_leads_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert barrier.interface_towards(["no.such.host.invalid", "127.0.0.1"]) == "lo"
    assert barrier.interface_towards([]) is None
    before = dict(os.environ)
    with barrier._environment(["10.0.0.1", "127.0.0.1"], 0):
        assert os.environ["GLOO_SOCKET_IFNAME"] == "lo"
    assert dict(os.environ) == before
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "chosen")
    with barrier._environment(["10.0.0.1", "127.0.0.1"], 0):
        assert os.environ["GLOO_SOCKET_IFNAME"] == "chosen"
