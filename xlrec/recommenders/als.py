"""Matrix factorisation of implicit feedback by Spark's ALS: vectors of items and users for the exact search.

Source: Hu, Koren and Volinsky 2008, with the regularisation of Zhou et al. 2008 (scaled by each row's events).
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config.models import AlsConfig
from xlrec.errors import InputError
from xlrec.runtime.sums import exact_sum

#: Blocks of users, and of items, and partitions of the input. ALS sums in the order in which blocks arrive, so another
#: number gives other last digits: it is fixed here and follows neither the cores nor the input's partitions.
BLOCKS: Final = 4
_BUCKETS: Final = 256
#: Sweeps between checkpoints: each makes the lineage longer that a task carries, until it ends an executor's stack.
_CHECKPOINTED: Final = 2


def fit_als(events: DataFrame, config: AlsConfig, *, seed: int, blocks: int = BLOCKS) -> tuple[DataFrame, DataFrame]:
    """(item_vectors, queries): item_num or user_id with `vector`, binary of (rank,) little-endian float32.

    The score of an item for a user is the inner product. Only users and items with positive events have a row. The
    preference's strength is the sum of the event weights of a user and item.

    With `blocks` = 1 the vectors are the same whatever the events' partitions and order. With more, blocks come over
    the network in any order, and vectors may differ in their last digits from run to run. More than a few sweeps need
    a folder for checkpoints that all executors reach: `SparkContext.setCheckpointDir`.

    Raises:
        InputError: No event has a positive weight.
    """
    strengths = (
        events.where("weight > 0").groupBy("user_id", "item_num").agg(exact_sum(F.col("weight")).alias("weight"))
    )
    numbers = _numbers(strengths)
    ratings = (
        strengths.join(numbers, "user_id")
        .select("user_num", "item_num", F.col("weight").cast("float").alias("weight"))
        .repartition(blocks, "user_num")
        .sortWithinPartitions("user_num", "item_num")
    )
    if ratings.isEmpty():
        raise InputError("no event has a positive weight, ALS needs some: see prepare.event_weights")
    model = ALS(
        rank=config.rank, maxIter=config.iterations, regParam=config.regularisation, alpha=config.alpha,
        implicitPrefs=True, seed=seed, numUserBlocks=blocks, numItemBlocks=blocks, checkpointInterval=_CHECKPOINTED,
        userCol="user_num", itemCol="item_num", ratingCol="weight",
    ).fit(ratings)  # fmt: skip
    items = model.itemFactors.mapInArrow(_pack, "item_num int, vector binary")
    users = model.userFactors.mapInArrow(_pack, "user_num int, vector binary")
    return items, users.join(numbers, "user_num").select("user_id", "vector")


def _numbers(users: DataFrame) -> DataFrame:
    """user_id and user_num: 0-based without gaps, by hash bucket and user_id; no task sees more than a bucket."""
    bucketed = users.select("user_id").distinct().withColumn("bucket", F.pmod(F.xxhash64("user_id"), F.lit(_BUCKETS)))
    sizes = bucketed.groupBy("bucket").agg(F.count("*").alias("n"))
    firsts = sizes.select("bucket", (F.sum("n").over(Window.orderBy("bucket")) - F.col("n")).alias("first"))
    place = F.row_number().over(Window.partitionBy("bucket").orderBy("user_id")) - 1
    numbered = bucketed.withColumn("place", place).join(F.broadcast(firsts), "bucket")
    return numbered.select("user_id", (F.col("first") + F.col("place")).cast("int").alias("user_num"))


def _pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            values = pc.list_flatten(batch["features"]).to_numpy(zero_copy_only=False)
            rows = np.asarray(values, dtype="<f4").reshape(batch.num_rows, -1)
            vectors = pa.array([row.tobytes() for row in rows], pa.binary())
            yield pa.RecordBatch.from_arrays([batch["id"], vectors], ["num", "vector"])
