"""One system's lists, scored user by user; coverage of the whole."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.config.models import EvaluateConfig
from xlrec.index.items import ItemIndex
from xlrec.kernels.evaluation import metrics
from xlrec.runtime.files import local_path

#: Metrics per user, each at every cut-off; `catalogue_coverage` joins them for a system as a whole.
METRICS: Final = (
    "ndcg", "recall", "mrr", "map", "hit_rate", "cross_lingual_recall", "cold_item_recall", "novelty", "diversity",
    "language_mix_error",
)  # fmt: skip
_BLOCK: Final = 512  # users whose lists' vectors are in memory at once

Metric = Callable[[int], NDArray[np.float64]]


def user_metrics(
    recommendations: DataFrame, truth: DataFrame, reach: DataFrame, config: EvaluateConfig, *, index: str, system: str
) -> DataFrame:
    """One row per user with ground truth: user_id, system, slices and a double column per metric and cut-off.

    Users with ground truth but no list score 0 (1 for the language mix error, where 1 is worst). Users with a list but
    no ground truth are not in it. A metric is null where a user has nothing to be measured
    by, whatever the system: no foreign or cold relevant item, or languages that nobody knows.

    `recommendations` are of one run, with lists of at least the largest cut-off; `truth` and `reach` of `ground_truth`
    and `item_reach`. `index` is the folder whose vectors measure diversity, the same for all systems.
    """
    ranked = recommendations.where(F.col("rank") <= max(config.cutoffs)).join(reach, "item_id")
    row = F.struct("rank", "item_num", "item_language", "n_users", "n_all")
    lists = ranked.groupBy("user_id").agg(F.sort_array(F.collect_list(row)).alias("list"))
    kinds = {"item_num": "int", "item_language": "string", "n_users": "bigint", "n_all": "bigint"}
    columns = [F.coalesce(f"list.{name}", F.array().cast(f"array<{kinds[name]}>")).alias(name) for name in kinds]
    joined = truth.join(lists, "user_id", "left").select(*truth.columns, *columns)
    scores = [f"`{metric}@{k}` double" for metric in METRICS for k in config.cutoffs]
    schema = ", ".join(["user_id string", "slices array<string>", *scores])
    scored = joined.mapInArrow(partial(_score, config.cutoffs, index), schema)
    return scored.withColumn("system", F.lit(system))


def catalogue_coverage(
    recommendations: DataFrame, items: DataFrame, config: EvaluateConfig, *, system: str
) -> DataFrame:
    """Catalogue coverage@k, one row per cut-off: system, metric, value.

    Distinct items at ranks <= k of all lists, over the items that are available and sold in at least one market.
    """
    sold = F.col("available") & (F.col("markets").isNull() | (F.size("markets") > 0))
    names = {k: f"coverage@{k}" for k in config.cutoffs}
    shown_to = [F.count_distinct(F.when(F.col("rank") <= k, F.col("item_id"))).alias(name) for k, name in names.items()]
    shown = recommendations.agg(*shown_to).crossJoin(items.agg(F.count_if(sold).alias("n_sold")))
    n_sold = F.greatest("n_sold", F.lit(1))
    rows = F.array(
        *(F.struct(F.lit(n).alias("metric"), (F.col(f"`{n}`") / n_sold).alias("value")) for n in names.values())
    )
    return shown.select(F.lit(system).alias("system"), F.inline(rows))


def _score(cutoffs: tuple[int, ...], index: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    opened = ItemIndex.open_folder(local_path(index))
    for batch in batches:
        for first in range(0, batch.num_rows, _BLOCK):
            yield _score_block(cutoffs, opened, batch.slice(first, _BLOCK))


def _score_block(cutoffs: tuple[int, ...], index: ItemIndex, block: pa.RecordBatch) -> pa.RecordBatch:
    width = max(cutoffs)
    values, lengths = _runs(block, "item_num")
    items = metrics.pad_runs(values, lengths, width, 0)
    scored = _accuracy(block, items, lengths) | _beyond(block, items, lengths, index)
    columns = {f"{metric}@{k}": pa.array(scored[metric](k), from_pandas=True) for metric in METRICS for k in cutoffs}
    return pa.RecordBatch.from_pydict({"user_id": block["user_id"], "slices": block["slices"], **columns})


def _accuracy(block: pa.RecordBatch, items: NDArray[Any], lengths: NDArray[Any]) -> dict[str, Metric]:
    def against(column: str) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """(n_users, width) bool hits by rank, and (n_users,) int32 relevant items in all."""
        relevant, n_relevant = _runs(block, column)
        return metrics.find_hits(items, lengths, relevant, n_relevant), n_relevant

    relevant, foreign, cold = against("relevant"), against("foreign"), against("cold")
    return {
        "ndcg": partial(metrics.ndcg, *relevant),
        "recall": partial(metrics.recall, *relevant),
        "mrr": partial(metrics.mrr, *relevant),
        "map": partial(metrics.average_precision, *relevant),
        "hit_rate": partial(metrics.hit_rate, *relevant),
        "cross_lingual_recall": partial(metrics.recall, *foreign),
        "cold_item_recall": partial(metrics.recall, *cold),
    }


def _beyond(block: pa.RecordBatch, items: NDArray[Any], lengths: NDArray[Any], index: ItemIndex) -> dict[str, Metric]:
    width = items.shape[1]
    bits = metrics.pad_runs(
        metrics.self_information(_runs(block, "n_users")[0], _runs(block, "n_all")[0]), lengths, width, 0.0
    )
    vectors = index.gather_vectors(items.ravel()).reshape(*items.shape, index.dim)
    codes, user_codes, weights = _languages(block, lengths, width)
    return {
        "novelty": partial(metrics.novelty, bits, lengths),
        "diversity": partial(metrics.diversity, vectors, lengths),
        "language_mix_error": partial(metrics.language_mix_error, codes, lengths, user_codes, weights),
    }


def _languages(block: pa.RecordBatch, lengths: NDArray[Any], width: int) -> tuple[NDArray[Any], ...]:
    read, n_read = _flat(block, "languages")
    shown, _ = _flat(block, "item_language")
    vocabulary = pc.unique(read)
    n = int(n_read.max(initial=0))

    def codes(names: "pa.Array[Any]") -> NDArray[Any]:
        """(n,) int32 place of each name among the languages read; -1 for others."""
        nums = pc.index_in(names, value_set=vocabulary)
        return nums.fill_null(-1).to_numpy(zero_copy_only=False)

    weights, n_weights = _runs(block, "language_weights")
    return (
        metrics.pad_runs(codes(shown), lengths, width, -2),
        metrics.pad_runs(codes(read), n_read, n, -1),
        metrics.pad_runs(weights, n_weights, n, 0.0),
    )


def _runs(block: pa.RecordBatch, column: str) -> tuple[NDArray[Any], NDArray[Any]]:
    values, lengths = _flat(block, column)
    return values.to_numpy(zero_copy_only=False), lengths


def _flat(block: pa.RecordBatch, column: str) -> "tuple[pa.Array[Any], NDArray[Any]]":
    """Values of a list column, row after row, and how many each row has."""
    lists = block[column]
    return pc.list_flatten(lists), pc.list_value_length(lists).to_numpy(zero_copy_only=False)
