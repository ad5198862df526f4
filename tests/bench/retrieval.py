"""Retrieval on Spark beside ALS's recommendForAllUsers and beside the bare kernel: same factors, same pairs, two cores.

python tests/bench/retrieval.py --json .cache/bench/retrieval.json     # part of make bench
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from measure import Row, machine, minima, one_thread, report

one_thread()

# ruff: noqa: E402  # threads are set before numpy and torch come in
import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xlrec.config.models import Config, SparkConfig

DIM, K, N_CORES = 64, 20, 2


class World(NamedTuple):
    """Files of one size: the index, and users with their queries."""

    index: str
    users: str
    queries: str
    events: str
    n_users: int


def factors(n: int, seed: int) -> Any:
    """(n, DIM) float32 of the spread that learnt factors have."""
    return np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32) / DIM**0.5


def world(folder: Path, n_users: int, n_items: int) -> World:
    """Writes index, users and queries; nobody has a history, so that scoring is all there is to do."""
    from worlds.index_arrays import write_arrays

    from xlrec.tables import EVENTS, USERS

    name = folder / f"{n_users}-{n_items}"
    ids = [f"i{num:07d}" for num in range(n_items)]
    write_arrays(name / "index", item_ids=ids, vectors=factors(n_items, 1), languages=[["en"]] * n_items)
    vectors = factors(n_users, 2)
    ids = [f"u{num:07d}" for num in range(n_users)]
    one = pa.array([["en"]] * n_users, pa.list_(pa.string()))
    users = {"user_id": ids, "market": ["DE"] * n_users, "languages": one, "language_weights": [[1.0]] * n_users}
    pq.write_table(pa.table({**users, "languages_stated": [True] * n_users}), name / "users.parquet")
    flat = pa.array([row.tobytes() for row in vectors], pa.binary())
    pq.write_table(pa.table({"user_id": ids, "vector": flat}), name / "queries.parquet")
    empty = pa.schema([(field.name, _arrow(field.dataType.simpleString())) for field in EVENTS.schema])
    pq.write_table(empty.empty_table(), name / "events.parquet")
    assert set(USERS.schema.names) == {*users, "languages_stated"}
    paths = (str(name / f"{one}.parquet") for one in ("users", "queries", "events"))
    return World(str(name / "index"), *paths, n_users)


def _arrow(kind: str) -> Any:
    return {"int": pa.int32(), "double": pa.float64(), "timestamp": pa.timestamp("us", "UTC")}.get(kind, pa.string())


def config() -> Config:
    """Searches for K items and nothing else."""
    return Config.model_validate(
        {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": K, "retrieve": {"candidates": K},
         "train": {"factors": {"enabled": False}}}
    )  # fmt: skip


def searched(spark: Any, one: World) -> None:
    """The retrieval of all users, to nowhere."""
    from xlrec.stages.retrieve import retrieve_candidates

    users, events, queries = (spark.read.parquet(path) for path in (one.users, one.events, one.queries))
    found = retrieve_candidates(users, events, config(), index=one.index, queries=queries)
    found.write.format("noop").mode("overwrite").save()


def bare(index: str, n_users: int, part: int) -> int:
    """One process's share of the users through the kernel alone."""
    from xlrec.index.items import ItemIndex
    from xlrec.index.search import vector_space
    from xlrec.kernels.search.topk import Mask, top_k

    opened = ItemIndex.open_folder(index)
    items = vector_space(opened, None, config().retrieve.item_block).items
    queries = factors(n_users, 2)[part::N_CORES]
    n = len(queries)
    nothing, words = np.zeros(n + 1, np.int64), np.asarray(opened.language_bits)
    mask = Mask(
        np.asarray(opened.eligible_rows), np.zeros(n, np.int32), nothing, np.zeros(0, np.int32), words,
        np.zeros((n, words.shape[1]), np.uint64), np.zeros(n, np.bool_),
    )  # fmt: skip
    return len(top_k(queries, items, K, mask, zero_vectors=False)[0])


def als_model(spark: Any, folder: Path, n_users: int, n_items: int) -> Any:
    """Spark's own model with these factors: a small one is fitted and saved, its factors are replaced."""
    from pyspark.ml.recommendation import ALS, ALSModel

    ratings = spark.createDataFrame([(0, 0, 1.0), (1, 1, 1.0)], "user int, item int, rating float")
    path = str(folder / "als")
    ALS(rank=DIM, maxIter=1).fit(ratings).write().overwrite().save(path)
    for name, rows in (("userFactors", factors(n_users, 2)), ("itemFactors", factors(n_items, 1))):
        values: Any = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), DIM).cast(pa.list_(pa.float32()))
        pq.write_table(pa.table({"id": pa.array(np.arange(len(rows)), pa.int32()), "features": values}), folder / name)
        spark.read.parquet(str(folder / name)).repartition(N_CORES).write.mode("overwrite").parquet(f"{path}/{name}")
    return ALSModel.load(path)


def shuffled(spark: Any) -> list[tuple[str, int]]:
    """(name, bytes of shuffle written) of all stages so far."""
    store = spark.sparkContext._jsc.sc().statusStore()
    stages = store.stageList(
        None, False, False, spark.sparkContext._gateway.new_array(spark.sparkContext._jvm.double, 0), None
    )
    return [(stages.apply(at).name(), stages.apply(at).shuffleWriteBytes()) for at in range(stages.size())]


def main() -> None:
    """Measures, prints, writes."""
    from xlrec.runtime.session import start_session

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-als", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    facts: dict[str, Any] = {"machine": machine()}
    spark = start_session(SparkConfig(master=f"local[{N_CORES}]", driver_memory="6g", shuffle_partitions=4), "bench")
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(N_CORES, get_context("spawn")) as pool:
        folder = Path(name)
        whole = world(folder, args.users, args.items)
        half_users, half_items = (
            world(folder, *size) for size in ((args.users // 2, args.items), (args.users, args.items // 2))
        )
        least = minima(
            {
                "spark": lambda: searched(spark, whole),
                "kernel": lambda: list(
                    pool.map(bare, *zip(*[(whole.index, whole.n_users, at) for at in range(N_CORES)], strict=True))
                ),
                "half users": lambda: searched(spark, half_users),
                "half items": lambda: searched(spark, half_items),
            },
            args.rounds,
        )
        what = f"{args.users:,} users × {args.items:,} items × {DIM}, k = {K}"
        rows = [
            Row(
                f"Spark retrieval, {what}",
                "the kernel without Spark, two processes",
                least["spark"] / least["kernel"],
                1.25,
                "×",
                True,
            ),
            Row("twice the users", "half of them", least["spark"] / least["half users"], 2.1, "×", True),
            Row("twice the items", "half of them", least["spark"] / least["half items"], 2.1, "×", True),
        ]
        facts["seconds"] = {name: round(seconds, 2) for name, seconds in least.items()}
        facts["shuffle written, by stage"] = [f"{name.split(' at ')[0]}: {n:,}" for name, n in shuffled(spark)[:2]]
        if not args.without_als:
            model = als_model(spark, folder, args.users, args.items)
            before = sum(n for _, n in shuffled(spark))
            began = perf_counter()
            model.recommendForAllUsers(K).write.format("noop").mode("overwrite").save()
            seconds = perf_counter() - began
            facts["seconds"]["ALS"] = round(seconds, 2)
            facts["shuffle written by ALS"] = f"{sum(n for _, n in shuffled(spark)) - before:,} bytes"
            rows.append(
                Row(f"Spark retrieval, {what}", "ALS recommendForAllUsers (one run)", seconds / least["spark"], 10)
            )
    facts["load after"] = machine()["load"]
    report("Retrieval on Spark, two cores", rows, facts, args.json)


if __name__ == "__main__":
    main()
