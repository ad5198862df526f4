"""The audit's numbers on lists whose answer is known."""

from datetime import date

import pytest

from xlrec.config import AuditConfig
from xlrec.stages.audit import content_hash, measure, verdicts
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
    found = measure(new, None, users, k=2).first().asDict()
    assert found["rows"] == 3
    assert (found["users"], found["users_with_list"], found["short_lists"], found["broken_lists"]) == (3, 2, 1, 0)
    failed = [v for v in verdicts(found, AuditConfig()) if not v.passed]
    assert [v.name for v in failed] == ["coverage"]
    assert str(failed[0]).startswith("coverage is 0.6667, allowed is at least 0.9")


@pytest.mark.parametrize(
    "rows",
    [
        [("u1", 1, "a", 1.0, "ja"), ("u1", 3, "b", 1.0, "ja")],
        [("u1", 1, "a", 1.0, "ja"), ("u1", 1, "b", 1.0, "ja")],
        [("u1", 1, "a", 1.0, "ja"), ("u1", 2, "a", 1.0, "ja")],
        [("u1", n, f"i{n}", 1.0, "ja") for n in range(1, 5)],
    ],
    ids=["gap", "same rank", "same item", "more than k"],
)
def test_broken_lists_are_seen(spark, users, rows):
    found = measure(lists(spark, rows), None, users, k=3).first().asDict()
    assert found["broken_lists"] == 1
    assert not verdicts(found, AuditConfig())[0].passed


def test_drift_is_zero_against_itself_and_one_against_the_opposite(spark, new, users):
    same = measure(new, new, users, 2).first()
    assert (same["language_drift"], same["score_drift"]) == (0.0, 0.0)
    other = lists(spark, [("u1", 1, "a", 0.1, "de"), ("u2", 1, "c", 0.2, "fr")])
    far = measure(new, other, users, 2).first().asDict()
    assert far["language_drift"] == pytest.approx(1.0)
    assert far["score_drift"] == pytest.approx(1.0)
    assert far["live_rows"] == 2
    assert {v.name for v in verdicts(far, AuditConfig()) if not v.passed} == {
        "coverage", "language drift", "score drift",
    }  # fmt: skip


def test_the_hash_tells_contents_apart_but_not_order_files_or_runs(spark, new):
    def digest(frame):
        return content_hash(frame).first()[0]

    rows = [("u2", 1, "a", 1.0, "ja"), ("u1", 2, "b", 0.5, "en"), ("u1", 1, "a", 1.0, "ja")]
    assert digest(lists(spark, rows, "other run").repartition(5)) == digest(new)
    assert digest(lists(spark, [*rows[:2], ("u1", 1, "a", 0.999, "ja")])) != digest(new)
    assert digest(new.union(new)) != digest(new)
    assert digest(new.limit(0)) == "0-0"
