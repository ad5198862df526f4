"""Means over users with Poisson bootstrap intervals, and each system's paired difference to xlrec."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.kernels.evaluation import bootstrap
from xlrec.tables import METRICS

#: System that the others are compared with.
REFERENCE: Final = "xlrec"
_BLOCK: Final = 1024  # users whose weights are in memory at once
_PARTS: Final = "system string, slice string, sums binary"
_ROWS: Final = (
    "system string, slice string, metric string, value double, low double, high double, n_users bigint, "
    "difference double, difference_low double, difference_high double, p_value double"
)


class Sums(NamedTuple):
    """Sums over some users of one system and slice, in whole numbers."""

    counts: NDArray[np.int64]  # (n_metrics,) users with a value
    sums: NDArray[np.int64]  # (n_metrics,) their values, in units of 1 / bootstrap.FINE_QUANTUM
    weighted_counts: NDArray[np.int64]  # (n_replicates, n_metrics) sums of weights, in 1 / bootstrap.QUANTUM
    weighted_sums: NDArray[np.int64]  # (n_replicates, n_metrics) weighted sums of values, the same

    @property
    def value(self) -> NDArray[np.float64]:
        """(n_metrics,) float64 means; NaN where there is no user."""
        return bootstrap.replicate_means(self.sums / bootstrap.FINE_QUANTUM, self.counts.astype(np.float64))

    @property
    def replicates(self) -> NDArray[np.float64]:
        """(n_replicates, n_metrics) float64 means of each replicate."""
        return bootstrap.replicate_means(
            self.weighted_sums / bootstrap.QUANTUM, self.weighted_counts / bootstrap.QUANTUM
        )


def summarise_metrics(
    per_user: DataFrame, coverage: DataFrame, *, split: str, evaluated_at: datetime, seed: int, n_bootstrap: int
) -> DataFrame:
    """Table metrics: every system, slice and metric, with 95 % intervals and the paired difference to xlrec.

    Value: mean over the slice's users whose metric is not null; n_users is how many they are. Intervals: percentiles of
    `n_bootstrap` Poisson bootstrap replicates over users. A user's weight comes from (seed, user_id, replicate) alone,
    so it is the same in all systems and the differences are paired. Coverage is no mean over users: its interval is
    null, its n_users 0.

    `per_user` and `coverage` are unions of `user_metrics` and of `catalogue_coverage` of all systems.
    """
    names = [name for name in per_user.columns if name not in ("user_id", "system", "slices")]
    keyed = per_user.select(F.xxhash64("user_id").alias("user"), "system", "slices", *(F.col(f"`{n}`") for n in names))
    parts = keyed.mapInArrow(partial(_partial_sums, names, seed, n_bootstrap), _PARTS)

    def compared(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:  # streams: one part in memory
        yield from _compare(names, batches)

    rows = parts.groupBy("slice").applyInArrow(compared, _ROWS)
    stamped = rows.unionByName(_coverage_rows(coverage), allowMissingColumns=True).withColumns(
        {"evaluated_at": F.lit(evaluated_at), "split": F.lit(split)}
    )
    return stamped.select(*(F.col(field.name).cast(field.dataType) for field in METRICS.schema))


def _coverage_rows(coverage: DataFrame) -> DataFrame:
    reference = coverage.where(F.col("system") == REFERENCE).select("metric", F.col("value").alias("reference"))
    difference = F.when(F.col("system") != REFERENCE, F.col("reference") - F.col("value"))
    return coverage.join(F.broadcast(reference), "metric", "left").select(
        "system",
        F.lit("all").alias("slice"),
        "metric",
        "value",
        F.lit(0).cast("bigint").alias("n_users"),
        difference.alias("difference"),
    )


def _partial_sums(
    names: list[str], seed: int, n_replicates: int, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    sums: dict[tuple[str, str], NDArray[np.int64]] = {}
    for batch in batches:
        for first in range(0, batch.num_rows, _BLOCK):
            block = batch.slice(first, _BLOCK)
            columns = [block[name].to_numpy(zero_copy_only=False) for name in names]
            values = np.stack(columns, axis=1).astype(np.float64)
            weights = bootstrap.poisson_weights(block["user"].to_numpy(), seed, n_replicates)
            for key, rows in _members(block).items():
                sums[key] = sums.get(key, 0) + _sums(values[rows], weights[rows])
    for (system, name), array in sorted(sums.items()):
        yield pa.RecordBatch.from_pydict({"system": [system], "slice": [name], "sums": [array.tobytes()]})


def _members(block: pa.RecordBatch) -> dict[tuple[str, str], NDArray[np.int64]]:
    """The block's rows in each (system, slice)."""
    parents = pc.list_parent_indices(block["slices"])
    flat = pa.table(
        {"row": parents, "slice": pc.list_flatten(block["slices"]), "system": block["system"].take(parents)}
    )
    groups = flat.group_by(["system", "slice"]).aggregate([("row", "list")])
    rows = zip(*(groups[name].to_pylist() for name in ("system", "slice", "row_list")), strict=True)
    return {(str(system), str(name)): np.array(nums) for system, name, nums in rows}


def _sums(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """(2 + 2 * n_replicates, n_metrics) int64 arrays of `Sums`, one below the other."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    weighted = [bootstrap.replicate_sums(weights, array) for array in (known.astype(np.float64), filled)]
    whole = (np.concatenate(weighted) * bootstrap.QUANTUM).astype(np.int64)  # exact, as `QUANTUM` says
    return np.vstack([known.sum(axis=0), bootstrap.fine_sums(filled), whole])


def _compare(names: list[str], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of `_ROWS` of one slice, from all parts of its systems."""
    totals: dict[str, NDArray[np.int64]] = {}
    for batch in batches:
        for system, part in zip(map(str, batch["system"]), batch["sums"], strict=True):
            sums = np.frombuffer(part.as_buffer(), dtype=np.int64).reshape(-1, len(names))
            totals[system] = totals.get(system, 0) + sums
    systems = {name: Sums(*total[:2], *np.split(total[2:], 2)) for name, total in sorted(totals.items())}
    rows = []
    for system in systems:
        rows += _rows(system, systems[system], None if system == REFERENCE else systems.get(REFERENCE), names)
    known = [{name: value for name, value in row.items() if value == value} for row in rows]  # NaN: null
    kinds: dict[str, pa.DataType] = {"string": pa.string(), "double": pa.float64(), "bigint": pa.int64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in (column.split(" ") for column in _ROWS.split(", "))])
    yield pa.RecordBatch.from_pylist([row | {"slice": batch["slice"][0].as_py()} for row in known], schema=schema)


def _rows(system: str, sums: Sums, reference: Sums | None, names: list[str]) -> list[dict[str, Any]]:
    rows, replicates = [], sums.replicates
    against = None if reference is None else reference.replicates
    for num in np.flatnonzero(sums.counts):  # by the others nobody in this slice can be measured
        low, high = bootstrap.percentile_interval(replicates[:, num])
        row: dict[str, Any] = {
            "system": system, "metric": names[num], "value": sums.value[num], "low": low, "high": high,
            "n_users": int(sums.counts[num]),
        }  # fmt: skip
        if reference is not None and against is not None:
            gaps = against[:, num] - replicates[:, num]
            low, high = bootstrap.percentile_interval(gaps)
            row |= {"difference": reference.value[num] - sums.value[num], "p_value": bootstrap.p_value(gaps)}
            row |= {"difference_low": low, "difference_high": high}
        rows.append(row)
    return rows
