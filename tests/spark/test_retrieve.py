"""Retrieval against a slow oracle of the whole stage, and its independence of how work is cut."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, StringType, StructType
from worlds.index_arrays import write_arrays

from xlrec.config.models import Config, Inputs, RankConfig, RetrieveConfig
from xlrec.index.items import ItemIndex
from xlrec.runtime.tasks import task_messages
from xlrec.stages.retrieve import NextStage, retrieve_candidates, with_logs
from xlrec.tables import CANDIDATES, EVENTS, USERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

N, DIM, N_USERS = 60, 7, 25
RUN_DATE = date(2024, 3, 1)
MARKETS = ["DE", "JP", "ZZ", "XX"]
LANGUAGES = [["en"], ["de", "en"], ["ja"], [], ["fr"]]
Rows = dict[str, dict[str, Any]]


def config(**changes: Any) -> Config:
    languages = changes.pop("languages", "any")
    return Config(
        lake="lake",
        inputs=Inputs(catalog="c", interactions="i"),
        k=5,
        retrieve=RetrieveConfig(candidates=8, max_history=6, **changes),
        rank=RankConfig(languages=languages),
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ItemIndex:
    folder, rng = tmp_path_factory.mktemp("index"), np.random.default_rng(0)
    vectors = rng.normal(size=(N, DIM))
    vectors[1::3] = vectors[::3]  # exact ties
    vectors[::10] = 0
    vectors /= np.maximum(1e-9, np.linalg.norm(vectors, axis=1))[:, None]
    pairs = [
        (market, a, int(b), float(rng.integers(1, 4)))
        for market in ("DE", "JP", "ZZ")
        for a in range(N)
        for b in rng.choice(N, 5, False)
        if a != b
    ]
    write_arrays(
        folder,
        item_ids=[f"i{num:03d}" for num in range(N)],
        vectors=vectors,
        languages=[LANGUAGES[num % 4] for num in range(N)],
        markets=[None if num % 2 else ["DE"] if num % 4 else ["JP", "DE"] for num in range(N)],
        available=[num % 7 != 0 for num in range(N)],
        neighbours=pairs,
        popularity=[(market, num, float(num % 5)) for market in ("DE", "JP", "ZZ") for num in range(40) if num % 5],
        shard_rows=17,
    )
    return ItemIndex.open_folder(str(folder))


def users_of(spark: "SparkSession") -> "DataFrame":
    rows = [
        (f"u{u:02d}", MARKETS[u % 4], LANGUAGES[u % 5], [1.0] * len(LANGUAGES[u % 5]), True) for u in range(N_USERS)
    ]
    return spark.createDataFrame(rows, USERS.schema)


def log() -> list[tuple[str, int, int, float]]:
    """(user, item_num, days, weight); users 20 and on have no event, user 19 none with a weight, user 18 many."""
    rng = np.random.default_rng(7)
    rows = [
        (f"u{user:02d}", int(rng.integers(0, N)), int(rng.integers(0, 90)), float(rng.choice([0, 1, 2]) * (user != 19)))
        for user in range(20)
        for _ in range(1 + user % 6)
    ]
    return rows + [("u18", num, num, 1.0) for num in range(0, N, 2)] + [("u17", 0, 0, 5.0), ("u17", 10, 0, 5.0)]


def events_of(spark: "SparkSession") -> "DataFrame":
    start = datetime(2023, 11, 1, tzinfo=UTC)
    rows = [
        (user, f"i{num:03d}", num, start + timedelta(days=days), "view", None, "DE", weight)
        for user, num, days, weight in log()
    ]
    return spark.createDataFrame(rows, EVENTS.schema)


def best(score: Any, among: list[int]) -> list[int]:
    return sorted(among, key=lambda num: (-round(score[num], 12), num))


def oracle(
    index: ItemIndex, settings: Config, user: int, query: "np.ndarray[Any, Any] | None" = None
) -> dict[str, Any]:
    """One user's row, by looking at every item."""
    limit, market, reads = settings.retrieve.candidates, MARKETS[user % 4], LANGUAGES[user % 5]
    mine = [row[1:] for row in log() if row[0] == f"u{user:02d}"]
    positive = [row for row in mine if row[2] > 0]
    newest = max((days for _, days, _ in positive), default=0)
    latest = {num: max(d for n, d, _ in positive if n == num) for num, _, _ in positive}
    history = sorted(latest, key=lambda num: (-latest[num], num))[: settings.retrieve.max_history]
    half_life = settings.retrieve.half_life_days
    weights = [sum(w * 0.5 ** ((newest - d) / half_life) for n, d, w in positive if n == num) for num in history]
    weights = [w * 0.5 ** (place / settings.retrieve.half_life_items) for place, w in enumerate(weights)]
    weights = [weight / sum(weights) for weight in weights]
    vectors = index.gather_vectors(np.arange(N)).astype(float)
    profile = sum((w * vectors[num] for w, num in zip(weights, history, strict=True)), np.zeros(DIM))
    if query is None and np.linalg.norm(profile) > 0:
        query = profile / np.linalg.norm(profile)
    indptr, nums, scores = index.neighbours(market)
    covisited = np.zeros(N)
    for weight, num in zip(weights, history, strict=True):
        covisited[nums[indptr[num] : indptr[num + 1]]] += weight * scores[indptr[num] : indptr[num + 1]]
    popular = np.asarray(index.popularity(market))
    seen = {num for num, _, _ in mine} if settings.retrieve.exclude_seen else set()
    names = [LANGUAGES[num % 4] for num in range(N)]
    allowed = [num for num in range(N) if index.eligible(market)[num] and num not in seen]
    mode = settings.rank.languages
    told = {*reads, *(name for num, _, _ in mine if mode == "calibrated" for name in names[num])}
    unknown = not reads or (mode == "calibrated" and not told & set(index.languages))
    free = [num for num in allowed if mode == "any" or unknown or told & set(names[num])]
    rest = [] if mode == "only" else [num for num in allowed if num not in free]
    similar = vectors @ query if query is not None else np.zeros(N)
    union = set(best(covisited, [num for num in free if covisited[num] > 0])[:limit])
    union |= set(best(popular, [num for num in free if popular[num] > 0])[:limit])
    if query is not None:
        union |= set(best(similar, [num for num in free if index.norms[num] > 0])[:limit])
    chosen = sorted(union)
    return {
        "history": history,
        "history_weights": pytest.approx(weights),
        "attention": pytest.approx(weights),
        "item_nums": chosen,
        "similar": pytest.approx(similar[chosen], abs=1e-12),
        "covisited": pytest.approx(covisited[chosen]),
        "popular": pytest.approx(popular[chosen]),
        "fallback": [*best(popular, [num for num in free if num not in union]), *best(popular, rest)][: settings.k],
    }


def rows_of(spark: "SparkSession", index: ItemIndex, settings: Config, queries: "DataFrame | None" = None) -> Rows:
    found = retrieve_candidates(users_of(spark), events_of(spark), settings, index=str(index.folder), queries=queries)
    assert found.schema.names == CANDIDATES.schema.names
    return {row.user_id: row.asDict() for row in found.collect()}


@pytest.mark.parametrize(
    "changes",
    [{}, {"languages": "only", "user_block": 3, "item_block": 5}, {"exclude_seen": False}, {"languages": "calibrated"}],
)
def test_every_user_gets_the_rows_of_the_slow_oracle(
    spark: "SparkSession", index: ItemIndex, changes: dict[str, Any]
) -> None:
    settings = config(**changes)
    rows = rows_of(spark, index, settings)
    assert len(rows) == N_USERS
    for user in range(N_USERS):
        row, expected = rows[f"u{user:02d}"], oracle(index, settings, user)
        assert {name: row[name] for name in expected} == expected, user
        assert (row["market"], row["languages"]) == (MARKETS[user % 4], LANGUAGES[user % 5])


def test_queries_replace_profiles_and_users_without_one_have_nothing_similar(
    spark: "SparkSession", index: ItemIndex
) -> None:
    query = np.arange(DIM, dtype=np.float32)
    queries = spark.createDataFrame([("u03", bytearray(query.tobytes()))], "user_id string, vector binary")
    rows = rows_of(spark, index, config(), queries)
    expected = oracle(index, config(), 3, query.astype(float))
    assert {name: rows["u03"][name] for name in expected} == expected
    assert set(rows["u04"]["similar"]) == {0.0}


def test_queries_of_another_dimension_are_refused(spark: "SparkSession", index: ItemIndex) -> None:
    queries = spark.createDataFrame([("u03", bytearray(4 * DIM + 4))], "user_id string, vector binary")
    with pytest.raises(Exception, match=f"learn again: vectors of {4 * DIM} bytes"):
        rows_of(spark, index, config(), queries)


def test_the_same_rows_with_1_and_7_partitions_and_any_blocks(spark: "SparkSession", index: ItemIndex) -> None:
    before = spark.conf.get("spark.sql.shuffle.partitions")
    try:
        spark.conf.set("spark.sql.shuffle.partitions", "1")
        once = rows_of(spark, index, config())
        spark.conf.set("spark.sql.shuffle.partitions", "7")
        assert rows_of(spark, index, config(user_block=2, item_block=3)) == once
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before or "3")


def test_events_of_items_that_the_index_does_not_have_are_refused(spark: "SparkSession", index: ItemIndex) -> None:
    events = events_of(spark).withColumn("item_num", F.col("item_num") + N)
    rows = retrieve_candidates(users_of(spark), events, config(), index=str(index.folder))
    with pytest.raises(Exception, match="train again"):
        rows.collect()


def test_a_folder_that_is_no_index_fails_with_its_name(spark: "SparkSession", tmp_path: Path) -> None:
    rows = retrieve_candidates(users_of(spark), events_of(spark), config(), index=str(tmp_path))
    with pytest.raises(Exception, match="no finished item index"):
        rows.collect()


def test_candidates_may_stay_in_the_worker_and_tasks_tell_how_they_searched(
    spark: "SparkSession", index: ItemIndex
) -> None:
    full, names, told = rows_of(spark, index, config()), NUMS.names, task_messages(spark)

    def chosen(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.select(names)

    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    try:
        nums = retrieve_candidates(
            users_of(spark), events_of(spark), config(), index=str(index.folder), first_passes=told,
            next_stage=NextStage(chosen, NUMS),
        )  # fmt: skip
        assert {row.user_id: row.item_nums for row in nums.collect()} == {u: r["item_nums"] for u, r in full.items()}
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before or "3")
    assert told.value == {(part, path) for part in range(3) for path in ("", "float32")}


NUMS = StructType().add("user_id", StringType()).add("item_nums", ArrayType(IntegerType()))


def test_users_without_events_have_an_empty_log(spark: "SparkSession") -> None:
    rows = with_logs(users_of(spark), events_of(spark)).select("user_id", F.size("log").alias("size")).collect()
    sizes = Counter(user for user, *_ in log())
    assert {row["user_id"]: row["size"] for row in rows} == {f"u{u:02d}": sizes[f"u{u:02d}"] for u in range(N_USERS)}
