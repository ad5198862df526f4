"""The lake as it stands on disk: schemas, properties, whole commits, runs and releases."""

import json
from datetime import date
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import functions as F

import xlrec
from xlrec.config.models import Config
from xlrec.errors import LakeError, LeaseError
from xlrec.lake.delta import Lake
from xlrec.lake.lease import Heartbeat, is_beating
from xlrec.lake.readers import sql_for_readers
from xlrec.lake.records import RunLog
from xlrec.lake.releases import Ledger
from xlrec.pipeline.run import open_lake, running_on
from xlrec.runtime.progress import Progress
from xlrec.tables import NEIGHBOURS, RECOMMENDATIONS, RUNS

DAY = date(2026, 3, 1)


@pytest.fixture
def lake(spark, tmp_path):
    return Lake(spark, str(tmp_path / "lake"))


@pytest.fixture
def ledger(lake):
    return Ledger(lake, heartbeat_s=0.2)


def lists(lake, run_id, items, day=DAY):
    rows = [
        (run_id, day, "JP", "u1", rank, item, 1.0 / rank, "ja", "similar", ("similar", ["h"]))
        for rank, item in enumerate(items, 1)
    ]
    return lake.spark.createDataFrame(rows, RECOMMENDATIONS.schema)


def write(lake, run_id, items, day=DAY):
    return lake.replace_rows(RECOMMENDATIONS, lists(lake, run_id, items, day), {"run_date": day, "run_id": run_id})


def live_items(lake):
    rows = xlrec.read_recommendations(lake.spark, lake.root).orderBy("rank").collect()
    return [row["item_id"] for row in rows]


def test_every_delta_reader_can_read_the_tables_and_sees_the_comments(lake):
    write(lake, "r1", ["a"])
    detail = DeltaTable.forPath(lake.spark, lake.path(RECOMMENDATIONS)).detail().first()
    assert detail["minReaderVersion"] == 1
    assert detail["partitionColumns"] == ["run_date"]
    log = (Path(lake.path(RECOMMENDATIONS)) / "_delta_log" / f"{0:020d}.json").read_text()
    schema = next(json.loads(line)["metaData"]["schemaString"] for line in log.splitlines() if "metaData" in line)
    comments = {f["name"]: f["metadata"].get("comment") for f in json.loads(schema)["fields"]}
    assert comments == {f.name: f.metadata["comment"] for f in RECOMMENDATIONS.schema.fields}


def test_files_of_lists_tell_their_run_which_is_all_that_they_can_be_skipped_by(lake):
    write(lake, "r1", ["a"])
    log = (Path(lake.path(RECOMMENDATIONS)) / "_delta_log" / f"{1:020d}.json").read_text()
    told = [json.loads(json.loads(line)["add"]["stats"]) for line in log.splitlines() if "add" in json.loads(line)]
    assert [(one["numRecords"], one["minValues"], one["maxValues"]) for one in told] == [
        (1, {"run_id": "r1"}, {"run_id": "r1"})
    ]


def test_replacing_one_run_leaves_the_others_of_the_same_day(lake):
    write(lake, "r1", ["a", "b"])
    assert write(lake, "r2", ["c"]) == 1
    write(lake, "r1", ["d"])
    rows = lake.read_table(RECOMMENDATIONS).select("run_id", "item_id").collect()
    assert sorted(map(tuple, rows)) == [("r1", "d"), ("r2", "c")]


def test_rows_of_another_schema_are_refused_with_the_columns_named(lake):
    wrong = lake.spark.createDataFrame([(1, 2)], "item_num int, neighbour int")
    with pytest.raises(
        LakeError, match=r"neighbour: int instead of nothing; neighbour_num: absent instead of int; score"
    ):
        lake.replace_rows(NEIGHBOURS, wrong)
    assert not lake.has_table(NEIGHBOURS) or lake.read_table(NEIGHBOURS).isEmpty()


def test_a_missing_table_names_the_job_that_makes_it(lake):
    with pytest.raises(LakeError, match="has no table neighbours yet: run `xlrec train`"):
        lake.read_table(NEIGHBOURS)


@pytest.mark.parametrize(
    ("root", "fix"),
    [
        ("s3a://bucket/lake", "give spark-submit --packages org.apache.hadoop:hadoop-aws:3"),
        ("abfss://a@b.dfs.core.windows.net/lake", "give spark-submit --packages org.apache.hadoop:hadoop-azure:3"),
        ("hdfs:///lake", "check the address and the settings of its file system"),
    ],
)
def test_a_lake_that_cannot_be_reached_is_refused_before_any_work(spark, root: str, fix: str) -> None:
    config = Config.model_validate({"lake": root, "inputs": {"catalog": "c", "interactions": "i"}})
    with (
        pytest.raises(LakeError, match=rf"^{root} cannot be \w+ \(.*\): {fix}"),
        running_on(open_lake(spark, config), config, Progress(spark), DAY),
    ):
        pytest.fail("it ran")


def test_readers_see_nothing_of_a_run_before_its_release_and_all_of_it_after(lake, ledger):
    with pytest.raises(LakeError, match="no table _releases yet"):
        live_items(lake)
    first = ledger.begin_run(DAY, "{}", {})
    write(lake, first, ["a", "b"])
    ledger.release(first, DAY)
    ledger.end_run(first, "published")
    second = ledger.begin_run(DAY, "{}", {})
    write(lake, second, ["c", "d"])
    assert live_items(lake) == ["a", "b"]
    ledger.release(second, DAY)
    assert live_items(lake) == ["c", "d"]
    by_sql = lake.spark.sql(sql_for_readers(lake.root)).orderBy("rank").collect()
    assert [row["item_id"] for row in by_sql] == ["c", "d"]
    older = xlrec.read_recommendations(lake.spark, lake.root, release=1)
    assert sorted(row["item_id"] for row in older.collect()) == ["a", "b"]


def test_a_rollback_appends_a_release_that_names_the_older_run(lake, ledger):
    for run, items in (("r1", ["a"]), ("r2", ["b"]), ("r3", ["c"])):
        write(lake, run, items)
        ledger.release(run, DAY)
    back = ledger.rollback(note="bad prices")
    assert (back.release, back.run_id, live_items(lake)) == (4, "r2", ["b"])
    assert ledger.rollback().run_id == "r1"
    with pytest.raises(LakeError, match="no release names the run before the live one"):
        ledger.rollback()
    assert ledger.rollback("r3").run_id == "r3"
    with pytest.raises(LakeError, match="no release names the run r9; released were: r1, r2, r3"):
        ledger.rollback("r9")


def test_a_living_run_keeps_others_out_and_a_dead_one_is_abandoned(lake, ledger):
    first = ledger.begin_run(DAY, "{}", {"xlrec": "0"})
    write(lake, first, ["a"])
    with pytest.raises(LeaseError, match=rf"run {first} \(process \d+ on .*\) holds the lake, and lives: wait"):
        ledger.begin_run(DAY, "{}", {})
    gone = F.regexp_replace("holder", "/[^/]*$", "/1")  # the same pid, started at another moment
    lake.update_rows(RUNS, F.col("run_id") == first, {"holder": gone})
    with pytest.raises(LeaseError, match="lost the lake"):
        ledger.check_held(first)
    second = ledger.begin_run(DAY, "{}", {})
    assert second == f"{DAY}.2"
    status = {row["run_id"]: row["status"] for row in lake.read_table(RUNS).collect()}
    assert status == {first: "abandoned", second: "running"}
    ledger.check_held(second)


def test_rows_of_an_abandoned_run_go_once_another_is_released_and_not_those_that_it_released_late(lake, ledger):
    runs = []
    for items in (["a"], ["b"], ["c"]):
        runs.append(ledger.begin_run(DAY, "{}", {}))
        write(lake, runs[-1], items)
        ledger.unlock(force=True)
    ledger.release(runs[1], DAY)  # slow, not dead: it was at its last commit
    assert live_items(lake) == ["b"]
    ledger.release(runs[2], DAY)
    ledger.delete_abandoned()
    assert {row["run_id"] for row in lake.read_table(RECOMMENDATIONS).select("run_id").collect()} == set(runs[1:])


def test_a_run_on_another_host_is_dead_once_its_heart_stands_still(lake, ledger):
    first = ledger.begin_run(DAY, "{}", {})
    lake.update_rows(RUNS, F.col("run_id") == first, {"holder": F.lit("elsewhere/1/1")})
    with Heartbeat(lake, first, 0.2):
        with pytest.raises(LeaseError, match=rf"run {first} \(process 1 on elsewhere\) holds the lake, and lives"):
            ledger.begin_run(DAY, "{}", {})
        with pytest.raises(LeaseError, match="xlrec unlock --force"):
            ledger.unlock()
    assert ledger.begin_run(DAY, "{}", {}) == f"{DAY}.2"
    with pytest.raises(LeaseError, match="lost the lake"):
        ledger.check_held(first)


def test_unlock_takes_the_lake_from_a_run_that_lives_only_by_force(lake, ledger):
    assert ledger.unlock() == []
    run = ledger.begin_run(DAY, "{}", {})
    with pytest.raises(LeaseError, match="holds the lake, and lives"):
        ledger.unlock()
    assert ledger.unlock(force=True) == [run]
    row = lake.read_table(RUNS).first()
    assert (row["status"], row["message"]) == ("abandoned", "unlocked by hand")
    assert ledger.unlock() == []


def test_a_heartbeat_that_cannot_be_written_ends_nothing(lake, monkeypatch):
    beating = Heartbeat(lake, "r", 0.05)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(lake, "write_file", full)
    with beating:
        assert not is_beating(lake, "r", 0.1)
    monkeypatch.undo()
    with Heartbeat(lake, "r", 0.05):
        assert is_beating(lake, "r", 0.1)


def test_two_rivals_that_begin_at_the_same_moment_get_one_lease(lake, ledger):
    from concurrent.futures import ThreadPoolExecutor

    lake.create_table(RUNS)

    def begin(_):
        try:
            return ledger.begin_run(DAY, "{}", {})
        except LeaseError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(begin, range(2)))
    assert lake.read_table(RUNS).where("status = 'running'").count() == 1
    assert sum(isinstance(one, LeaseError) for one in found) <= 1


def test_the_record_of_a_run_tells_its_stages_and_counts(ledger):
    run = ledger.begin_run(DAY, "{}", {})
    ledger.end_run(run, "finished", RunLog(counts={"prepare.items": 3}, seconds={"prepare": 1.5}))
    record = ledger.newest_run("prepare")
    assert (record.run_id, record.stages, record.counts["prepare.items"]) == (run, {"prepare"}, 3)
    assert record.seconds == {"prepare": 1.5}
    assert ledger.run_record(run) == record
    assert ledger.newest_run("train") is None
