"""What a ranker learns from: the shortlists that `rank` would give it, with what the users later chose."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, DoubleType, IntegerType, LongType, StringType, StructType

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.users import users_of
from xlrec.tables import CANDIDATES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: One row per user: candidates best fused first, their features row after row, and whether each was chosen.
EXAMPLES: Final = (
    StructType()
    .add("user_id", StringType())
    .add("user_hash", LongType())
    .add("features", ArrayType(DoubleType()))
    .add("hits", ArrayType(BooleanType()))
    .add("n_relevant", IntegerType())
)


def examples(candidates: "DataFrame", truth: "DataFrame", config: Config, *, index: str) -> "DataFrame":
    """`EXAMPLES` of the users with ground truth, by the code that serves: same shortlists, same features.

    Args:
        candidates: `CANDIDATES`.
        truth: user_id, relevant (array<int> of item_nums).
        config: `rank` and `k` are used, `rank.ranker` is not.
        index: Folder of the `ItemIndex`, seen by the workers under this path.
    """
    plain = config.model_copy(update={"rank": config.rank.model_copy(update={"ranker": None})})
    chosen = truth.select("user_id", "relevant", F.xxhash64("user_id").alias("user_hash"))
    names = CANDIDATES.schema.names

    def made(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        ranker = Ranker(ItemIndex.open(index), plain)
        for batch in batches:
            yield examples_of(batch.select(names), batch["relevant"], batch["user_hash"], ranker)

    return candidates.select(*names).join(chosen, "user_id").mapInArrow(made, EXAMPLES)


def examples_of(batch: pa.RecordBatch, relevant: Any, hashes: Any, ranker: Ranker) -> pa.RecordBatch:
    """The users of a `CANDIDATES` batch as an `EXAMPLES` batch, in the same order.

    Args:
        batch: `CANDIDATES`.
        relevant: item_nums that each user later chose, a list array.
        hashes: xxhash64 of each user_id.
        ranker: Without `rank.ranker`.
    """
    features, hits, wanted = [], [], relevant.to_pylist()
    for user, one in zip(users_of(batch, ranker.weights), wanted, strict=True):
        scored = ranker.scored(user)
        features.append(ranker.features.of(user, scored, ranker.shortlist).ravel())
        hits.append(np.isin(user.nums[scored.order[: ranker.shortlist]], one))
    columns: dict[str, Any] = {
        "user_id": batch["user_id"], "user_hash": hashes,
        "features": pa.array(features, pa.list_(pa.float64())), "hits": pa.array(hits, pa.list_(pa.bool_())),
        "n_relevant": pa.array([len(one) for one in wanted], pa.int32()),
    }  # fmt: skip
    return pa.RecordBatch.from_pydict({name: columns[name] for name in EXAMPLES.names})
