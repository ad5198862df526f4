"""What a ranker learns from: the shortlists that `rank` would give it, with what the users later chose."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, DoubleType, IntegerType, LongType, StringType, StructType

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.kernels.csr import first_of
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
    users, wanted = users_of(batch, ranker.weights), relevant.to_pylist()
    scored = ranker.scored(users)
    indptr, places = first_of(scored.indptr, ranker.shortlist)
    features = ranker.features.of(users, scored, ranker.shortlist)
    nums = np.split(users.nums[scored.order[places]], indptr[1:-1])
    hits = [np.isin(some, one) for some, one in zip(nums, wanted, strict=True)]
    ends: Any = pa.array(indptr * features.shape[1], pa.int32())
    columns: dict[str, Any] = {
        "user_id": batch["user_id"], "user_hash": hashes,
        "features": pa.ListArray.from_arrays(ends, pa.array(features.ravel())),
        "hits": pa.array(hits, pa.list_(pa.bool_())),
        "n_relevant": pa.array([len(one) for one in wanted], pa.int32()),
    }  # fmt: skip
    return pa.RecordBatch.from_pydict({name: columns[name] for name in EXAMPLES.names})
