"""Means of arms with bootstrap intervals, and paired differences; plain rows that tables, pages and cards show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.buckets import count_buckets
from xlrec.kernels.evaluation import bootstrap
from xlrec.training.recommender.quality import METRICS

#: Slice of all users with a history, and of those without.
ALL: Final = "all"
NEWCOMERS: Final = "history=0"


@dataclass(frozen=True)
class Figure:
    """One mean over users."""

    strategy: str
    share: float
    """Of the target's users whose logs were learnt from; 0 for none."""
    metric: str
    slice: str
    value: float
    low: float
    high: float
    n_users: int


@dataclass(frozen=True)
class Difference:
    """Mean paired difference of two strategies over users with history: at `share` minus `other` at `other_share`."""

    strategy: str
    share: float
    other: str
    other_share: float
    metric: str
    value: float
    low: float
    high: float


Key = tuple[str, float]
Values = Mapping[Key, NDArray[np.float64]]


class Summary:
    """The same replicates for all arms, so that differences are paired."""

    def __init__(self, n_history: NDArray[np.int64], bounds: Sequence[int], seed: int, n_replicates: int) -> None:
        """Draws the replicates; `n_history` is (n_users,) distinct items, `bounds` are the slices' lower bounds."""
        self.weights = bootstrap.poisson_weights(np.arange(len(n_history)), seed, n_replicates)
        self.slices = {ALL: n_history > 0, NEWCOMERS: n_history == 0}
        for first, after, label in count_buckets(bounds):
            if first > 0:
                self.slices[f"history={label}"] = (n_history >= first) & (n_history < (after or np.inf))

    def figures(self, values: Values) -> list[Figure]:
        """A row per arm, metric and slice that has users; cross-lingual recall over those who have any to find."""
        figures = []
        for (arm, share), columns in values.items():
            for column, metric in enumerate(METRICS):
                for name, inside in self.slices.items():
                    row = self._mean(columns[:, column], inside)
                    if row is not None:
                        figures.append(Figure(arm, share, metric, name, *row))
        return figures

    def paired_differences(self, values: Values, key: Key, other: Key) -> list[Difference]:
        """A row per metric; none where an arm was not run."""
        differences: list[Difference] = []
        for column, metric in enumerate(METRICS if key in values and other in values else ()):
            row = self._mean(values[key][:, column] - values[other][:, column], self.slices[ALL])
            if row is not None:
                differences.append(Difference(*key, *other, metric, *row[:3]))
        return differences

    def _mean(self, values: NDArray[np.float64], inside: NDArray[np.bool_]) -> tuple[float, float, float, int] | None:
        kept = inside & np.isfinite(values)
        if not kept.any():
            return None
        weights = self.weights[kept]
        replicates = bootstrap.replicate_means(
            bootstrap.replicate_sums(weights, values[kept][:, None])[:, 0], weights.sum(axis=0)
        )
        return (float(values[kept].mean()), *bootstrap.percentile_interval(replicates), int(kept.sum()))
