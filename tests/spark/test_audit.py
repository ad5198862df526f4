"""The audit's numbers on lists whose answer is known."""

from datetime import date

import pytest
from pyspark.sql import functions as F

from xlrec.config.models import AuditConfig
from xlrec.stages import audit
from xlrec.stages.audit import audit_verdicts, content_hash, measure_lists
from xlrec.tables import RECOMMENDATIONS, USERS

DAY = date(2026, 3, 1)


def lists(spark, rows, run="r"):
    full = [
        (run, DAY, "JP", user, rank, item, score, language, "similar", ("similar", []))
        for user, rank, item, score, language in rows
    ]
    return spark.createDataFrame(full, RECOMMENDATIONS.schema)


@pytest.fixture(scope="module")
def users(spark):
    return spark.createDataFrame([(u, "JP", [], [], False) for u in ("u1", "u2", "u3")], USERS.schema)


@pytest.fixture(scope="module")
def new(spark):
    return lists(spark, [("u1", 1, "a", 1.0, "ja"), ("u1", 2, "b", 0.5, "en"), ("u2", 1, "a", 1.0, "ja")])


def test_rows_coverage_and_short_lists_are_counted(new, users):
    found = measure_lists(new, None, users, k=2).first().asDict()
    assert found["rows"] == 3
    assert (found["users"], found["users_with_list"], found["short_lists"], found["broken_lists"]) == (3, 2, 1, 0)
    failed = [v for v in audit_verdicts(found, AuditConfig()) if not v.passed]
    assert [v.name for v in failed] == ["coverage"]
    assert str(failed[0]).startswith("coverage is 0.6667, allowed is at least 0.9")


@pytest.mark.parametrize(
    "rows",
    [
        [("u1", 1, "a", 1.0, "ja"), ("u1", 3, "b", 1.0, "ja")],
        [("u1", 1, "a", 1.0, "ja"), ("u1", 1, "b", 1.0, "ja")],
        [("u1", 1, "a", 1.0, "ja"), ("u1", 2, "a", 1.0, "ja")],
        [("u1", n, f"i{n}", 1.0, "ja") for n in range(1, 5)],
        [("u1", 0, "a", 1.0, "ja"), ("u1", 2, "b", 1.0, "ja")],
        [("u1", 1, "a", 1.0, "ja"), ("u1", 2, None, 1.0, "ja")],
        [("u1", 1, "a", 1.0, "ja"), ("u1", None, "b", 1.0, "ja")],
    ],
    ids=["gap", "same rank", "same item", "more than k", "rank 0", "no item", "no rank"],
)
def test_broken_lists_are_seen(spark, users, rows):
    found = measure_lists(lists(spark, rows), None, users, k=3).first().asDict()
    assert found["broken_lists"] == 1
    assert not audit_verdicts(found, AuditConfig())[0].passed


@pytest.mark.parametrize(("left_out", "twice"), [(None, None), (70, None), (None, 130), (70, 130)])
def test_lists_longer_than_a_word_of_ranks_are_whole_or_broken(spark, users, left_out, twice):
    ranks = [rank for rank in range(1, 131) if rank != left_out] + ([twice] if twice else [])
    rows = [(user, rank, f"i{place}", 1.0, "ja") for user in ("u1", "u2") for place, rank in enumerate(ranks)]
    found = measure_lists(lists(spark, rows).repartition(3), None, users, k=131).first()
    assert found["rows"] == 2 * len(ranks)
    assert found["broken_lists"] == (2 if left_out or twice else 0)


def test_drift_is_zero_against_itself_and_one_against_the_opposite(spark, new, users):
    same = measure_lists(new, new, users, 2).first()
    assert (same["language_drift"], same["score_drift"]) == (0.0, 0.0)
    other = lists(spark, [("u1", 1, "a", 0.1, "de"), ("u2", 1, "c", 0.2, "fr")])
    far = measure_lists(new, other, users, 2).first().asDict()
    assert far["language_drift"] == pytest.approx(1.0)
    assert far["score_drift"] == pytest.approx(1.0)
    assert far["live_rows"] == 2
    assert {v.name for v in audit_verdicts(far, AuditConfig()) if not v.passed} == {
        "coverage", "language drift", "score drift",
    }  # fmt: skip


def test_drift_is_that_of_shares_and_distributions_counted_by_hand(spark, users):
    new = lists(spark, [("u1", 1, "a", 1.0, "ja"), ("u1", 2, "b", 9.0, "en"), ("u2", 1, "a", 0.5, "ja")])
    live = lists(spark, [("u1", 1, "a", 0.5, "en"), ("u1", 2, "b", 0.5, "de")])
    found = measure_lists(new, live, users, 2).first()
    assert found["language_drift"] == pytest.approx((2 / 3 + 1 / 6 + 1 / 2) / 2)
    assert found["score_drift"] == 0.5  # one step of two is above the live run's only one; rank 2 has no say
    assert found["live_rows"] == 2
    nothing = measure_lists(new.limit(0), live, users, 2).first()
    assert (nothing["rows"], nothing["language_drift"], nothing["score_drift"]) == (0, 0.5, 1.0)


def test_sums_of_hashes_are_taken_modulo_two_to_the_64(spark, monkeypatch):
    numbers = [2**63 - 1, 2**63 - 1, -(2**63), -1, 5, 2**43, -(2**43), 2**22 - 1]
    monkeypatch.setattr(audit.F, "xxhash64", lambda *_: F.col("number"))
    for some in (numbers, numbers[:2], numbers[2:4]):
        frame = spark.createDataFrame([(number,) for number in some], "number bigint")
        assert content_hash(frame).first()[0] == f"{len(some)}-{sum(some) % 2**64}"


def test_the_hash_tells_nulls_and_ends_of_lists_apart(spark):
    schema = "a string, b string, c struct<kind:string, because:array<string>>"
    rows = [
        ("x", None, None), (None, "x", None), ("x", None, (None, None)), ("x", None, (None, [])), ("x", "", None),
        (None, None, ("x", [])), ("x", None, (None, [None])), ("x", None, (None, ["y"])),
        ("x", None, (None, ["y", None])),
    ]  # fmt: skip
    found = {content_hash(spark.createDataFrame([row], schema)).first()[0] for row in rows}
    assert len(found) == len(rows)


def test_the_hash_tells_contents_apart_but_not_order_files_or_runs(spark, new):
    def digest(frame):
        return content_hash(frame).first()[0]

    rows = [("u2", 1, "a", 1.0, "ja"), ("u1", 2, "b", 0.5, "en"), ("u1", 1, "a", 1.0, "ja")]
    assert digest(lists(spark, rows, "other run").repartition(5)) == digest(new)
    assert digest(lists(spark, [*rows[:2], ("u1", 1, "a", 0.999, "ja")])) != digest(new)
    assert digest(new.union(new)) != digest(new)
    assert digest(new.limit(0)) == "0-0"
