"""Means over users with Poisson bootstrap intervals, and each system's paired difference to xlrec."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

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
_PARTS: Final = "system string, slice string, counts binary, sums binary, weighted_counts binary, weighted_sums binary"
_ROWS: Final = (
    "system string, slice string, metric string, value double, low double, high double, n_users bigint, "
    "difference double, difference_low double, difference_high double, p_value double"
)


@dataclass
class Sums:
    """Sums over some users of one system and slice; those of other users are added. M metrics, B replicates."""

    counts: NDArray[np.int64]  # (M,) users with a value
    sums: NDArray[np.int64]  # (M,) their values, in units of 1 / bootstrap.FINE_QUANTUM
    weighted_counts: NDArray[np.float64]  # (B, M) sums of the users' weights
    weighted_sums: NDArray[np.float64]  # (B, M) weighted sums of the values

    @staticmethod
    def nothing(n_metrics: int, n_replicates: int) -> "Sums":
        """Of no users."""
        whole, weighted = (n_metrics,), (n_replicates, n_metrics)
        return Sums(np.zeros(whole, np.int64), np.zeros(whole, np.int64), np.zeros(weighted), np.zeros(weighted))

    def add(self, other: "Sums") -> None:
        """Adds the users of another."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[...] += getattr(other, name)

    @property
    def value(self) -> NDArray[np.float64]:
        """(M,) means; NaN where there is no user."""
        return bootstrap.replicate_means(self.sums / bootstrap.FINE_QUANTUM, self.counts.astype(np.float64))

    @property
    def replicates(self) -> NDArray[np.float64]:
        """(B, M) means of each replicate."""
        return bootstrap.replicate_means(self.weighted_sums, self.weighted_counts)


def summarise_metrics(
    per_user: DataFrame, coverage: DataFrame, *, split: str, evaluated_at: datetime, seed: int, n_bootstrap: int
) -> DataFrame:
    """Table metrics: every system, slice and metric, with 95 % intervals and the paired difference to xlrec.

    Value: mean over the slice's users whose metric is not null; n_users is how many they are. Intervals: percentiles of
    `n_bootstrap` Poisson bootstrap replicates over users. A user's weight comes from (seed, user_id, replicate) alone,
    so it is the same in all systems and the differences are paired. Coverage is no mean over users: its interval is
    null, its n_users 0.

    Args:
        per_user: Union of `user_metrics` of all systems: columns user_id, system, slices, and the metrics.
        coverage: Union of `catalogue_coverage` of all systems.
        split: How history and holdout were cut.
        evaluated_at: Wall clock.
        seed: Seed of the run.
        n_bootstrap: Replicates.
    """
    names = [name for name in per_user.columns if name not in ("user_id", "system", "slices")]
    keyed = per_user.select(F.xxhash64("user_id").alias("user"), "system", "slices", *(F.col(f"`{n}`") for n in names))
    parts = keyed.mapInArrow(partial(_partial_sums, tuple(names), seed, n_bootstrap), _PARTS)
    shape = (n_bootstrap, len(names))

    def combined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:  # streams: one part in memory
        yield _combine(shape, batches)

    def compared(table: pa.Table) -> pa.Table:
        return _compare(tuple(names), shape, table)

    whole = parts.groupBy("system", "slice").applyInArrow(combined, _PARTS)
    rows = whole.groupBy("slice").applyInArrow(compared, _ROWS)
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
    names: tuple[str, ...], seed: int, n_replicates: int, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    sums_by_slice: dict[tuple[str, str], Sums] = {}
    for batch in batches:
        for first in range(0, batch.num_rows, _BLOCK):
            _add_block(sums_by_slice, names, seed, n_replicates, batch.slice(first, _BLOCK))
    for (system, name), sums in sorted(sums_by_slice.items()):
        yield _pack(system, name, sums)


def _add_block(
    sums_by_slice: dict[tuple[str, str], Sums],
    names: tuple[str, ...],
    seed: int,
    n_replicates: int,
    block: pa.RecordBatch,
) -> None:
    values = np.stack([block[name].to_numpy(zero_copy_only=False) for name in names], axis=1).astype(np.float64)
    weights = bootstrap.poisson_weights(block["user"].to_numpy(), seed, n_replicates)
    for key, rows in _members(block).items():
        sums = sums_by_slice.setdefault(key, Sums.nothing(len(names), n_replicates))
        sums.add(_sums(values[rows], weights[rows]))


def _members(block: pa.RecordBatch) -> dict[tuple[str, str], NDArray[np.int64]]:
    """The block's rows in each (system, slice)."""
    parents = pc.list_parent_indices(block["slices"])
    flat = pa.table(
        {"row": parents, "slice": pc.list_flatten(block["slices"]), "system": block["system"].take(parents)}
    )
    groups = flat.group_by(["system", "slice"]).aggregate([("row", "list")])
    rows = zip(*(groups[name].to_pylist() for name in ("system", "slice", "row_list")), strict=True)
    return {(str(system), str(name)): np.array(nums) for system, name, nums in rows}


def _sums(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Sums:
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    return Sums(
        known.sum(axis=0),
        bootstrap.fine_sums(filled),
        bootstrap.replicate_sums(weights, known.astype(np.float64)),
        bootstrap.replicate_sums(weights, filled),
    )


def _pack(system: str, name: str, sums: Sums) -> pa.RecordBatch:
    columns: dict[str, Any] = {"system": pa.array([system]), "slice": pa.array([name])}
    for part in sums.__dataclass_fields__:
        columns[part] = pa.array([getattr(sums, part).tobytes()], pa.binary())
    return pa.RecordBatch.from_pydict(columns)


def _unpack(parts: pa.Table | pa.RecordBatch, row: int, shape: tuple[int, int]) -> Sums:
    def array(name: str, kind: type[np.generic]) -> NDArray[Any]:
        return np.frombuffer(parts[name][row].as_py(), dtype=kind)

    return Sums(
        array("counts", np.int64),
        array("sums", np.int64),
        array("weighted_counts", np.float64).reshape(shape),
        array("weighted_sums", np.float64).reshape(shape),
    )


def _combine(shape: tuple[int, int], batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    total, key = Sums.nothing(shape[1], shape[0]), ("", "")
    for batch in batches:
        for row in range(batch.num_rows):
            total.add(_unpack(batch, row, shape))
            key = (batch["system"][row].as_py(), batch["slice"][row].as_py())
    return _pack(*key, total)


def _compare(names: tuple[str, ...], shape: tuple[int, int], parts: pa.Table) -> pa.Table:
    systems = {parts["system"][row].as_py(): _unpack(parts, row, shape) for row in range(parts.num_rows)}
    reference = systems.get(REFERENCE)
    rows = []
    for system in sorted(systems):
        rows += _rows(system, systems[system], None if system == REFERENCE else reference, names)
    columns = {name: [_known(row.get(name)) for row in rows] for name in _kinds()}
    filled = {"slice": [parts["slice"][0].as_py()] * len(rows)}
    return pa.table({name: pa.array((columns | filled)[name], kind) for name, kind in _kinds().items()})


def _kinds() -> dict[str, pa.DataType]:
    kinds: dict[str, pa.DataType] = {"string": pa.string(), "double": pa.float64(), "bigint": pa.int64()}
    return {name: kinds[kind] for name, kind in (column.split(" ") for column in _ROWS.split(", "))}


def _rows(system: str, sums: Sums, reference: Sums | None, names: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = []
    replicates = sums.replicates
    against = None if reference is None else reference.replicates
    for num, name in enumerate(names):
        if not sums.counts[num]:
            continue  # nobody in this slice can be measured by it
        low, high = bootstrap.percentile_interval(replicates[:, num])
        row: dict[str, Any] = {
            "system": system, "metric": name, "value": sums.value[num], "low": low, "high": high,
            "n_users": int(sums.counts[num]),
        }  # fmt: skip
        if reference is not None and against is not None:
            gaps = against[:, num] - replicates[:, num]
            low, high = bootstrap.percentile_interval(gaps)
            row |= {"difference": reference.value[num] - sums.value[num], "p_value": bootstrap.p_value(gaps)}
            row |= {"difference_low": low, "difference_high": high}
        rows.append(row)
    return rows


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
