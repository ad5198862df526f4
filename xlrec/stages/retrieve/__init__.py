"""Retrieve: for every user the best items of every source, with eligibility, language and seen items masked before."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from xlrec.config.models import Config
from xlrec.index.items import ItemIndex
from xlrec.index.search import IndexSearch
from xlrec.kernels.base.batches import table_blocks
from xlrec.runtime.devices import gpu_profile, task_device
from xlrec.runtime.files import local_path
from xlrec.runtime.tasks import TaskMessages, spread_by_hash
from xlrec.stages.retrieve.candidates import USER_COLUMNS, Retriever
from xlrec.tables import CANDIDATES

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import DataFrame

__all__ = ["NextStage", "Retriever", "retrieve_candidates", "with_logs"]


class NextStage(NamedTuple):
    """A stage that follows in the same worker, so that candidates never pass through the JVM."""

    apply: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]  # From batches of `CANDIDATES`
    schema: StructType  # Of its result


def retrieve_candidates(
    users: "DataFrame",
    events: "DataFrame",
    config: Config,
    *,
    index: str,
    queries: "DataFrame | None" = None,
    first_passes: "Accumulator[TaskMessages] | None" = None,
    next_stage: NextStage | None = None,
) -> "DataFrame":
    """`CANDIDATES`: one row per user, whatever the partitions; tasks are cut by user_id, so that no market is one task.

    `similar` holds ⟨query, v⟩ in float64 for every candidate: the preference that the model of the user's market
    predicts. Without a model the query is the history's unit profile of text vectors. It is 0 for users without a query
    and items without a vector, which are no candidates of `similar`.

    Unless `rank.languages` is `any`, a reader gets candidates with a text in a language that she reads or that an item
    of hers has; the fallback holds others after these, none where it is `only`.

    Item_nums of the events are those of the index, as `share_with_workers` names it; its model serves where
    `train.factors` is enabled. `queries` (user_id, vector binary float32[dim]) stand instead of profiles; users without
    one get nothing `similar`. Each task adds the names of its first passes of the top-k, and '', to `first_passes`.
    `next_stage` is applied to the candidates in the same worker.

    Raises:
        LakeError: In the worker: no index, events of other items than the index's, or a query of another dimension.
        MachineError: In the worker: the device is a GPU, and there is none.
    """
    rows = with_logs(spread_by_hash(users.select(*USER_COLUMNS), "user_id"), events)
    if queries is not None:
        rows = rows.join(queries.select("user_id", "vector"), "user_id", "left")

    def results(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        candidates = _candidates(batches, config, index, first_passes)
        return next_stage.apply(candidates) if next_stage else candidates

    # Ranking takes the CPU of the same worker: only a config with GPUs has as few tasks at once as there are GPUs.
    profile = gpu_profile(users.sparkSession, "cuda") if config.retrieve.device == "cuda" else None
    return rows.mapInArrow(results, next_stage.schema if next_stage else CANDIDATES.schema, profile=profile)


def _candidates(
    batches: Iterable[pa.RecordBatch], config: Config, index: str, first_passes: "Accumulator[TaskMessages] | None"
) -> Iterator[pa.RecordBatch]:
    opened, context = ItemIndex.open_folder(local_path(index)), TaskContext.get()
    search = IndexSearch(opened, config, device=task_device(config.retrieve.device, "retrieve.device"))
    retriever = Retriever(opened, config, search)
    for block in table_blocks(batches, config.retrieve.user_block):
        yield from retriever.candidates_of(block).to_batches()
    if first_passes is not None:
        task = context.partitionId() if context else 0
        first_passes.add(TaskMessages((task, name) for name in ("", *search.first_passes)))


def with_logs(users: "DataFrame", events: "DataFrame") -> "DataFrame":
    """Users as `Retriever.candidates_of` takes them: with a log of micros, item_num, weight; empty without events."""
    event = F.struct(F.unix_micros("timestamp").alias("micros"), "item_num", "weight")
    logs = events.groupBy("user_id").agg(F.collect_list(event).alias("log"))
    rows = users.select(*USER_COLUMNS).join(logs, "user_id", "left")
    none = F.array().cast(rows.schema["log"].dataType)  # from row to row Arrow would go back over nulls
    return rows.withColumn("log", F.coalesce("log", none))
