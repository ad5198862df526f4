"""From report data to what the page's template prints: figures in order, charts drawn, best systems marked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from xlrec.kernels.base.names import FALLBACK, SOURCES
from xlrec.reporting import charts, words
from xlrec.reporting.charts import BarRow, DotRow, Mark
from xlrec.reporting.data import ALL, OURS, Lists, MetricRow, Metrics

T = TypeVar("T")

#: Rows of a chart; the others are counted in a note.
MOST_ROWS: Final = 14
#: Tables of metrics and their columns, where the evaluation has them.
TABLES: Final = {
    "Accuracy": ("ndcg", "recall", "mrr", "map", "hit_rate"),
    "Beyond accuracy": (
        "cross_lingual_recall",
        "cold_item_recall",
        "coverage",
        "novelty",
        "diversity",
        "language_mix_error",
    ),
}
_DIMENSIONS: Final = {
    "market": "By market",
    "language": "By the user's main language",
    "history": "By distinct items in the history",
    "cold_items": "By whether cold items were chosen",
}


@dataclass(frozen=True)
class Chart:
    """A drawing with its heading, and a note on what it leaves out."""

    title: str
    svg: str
    legend: str = ""
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """One figure of one system; `best` where no other system's is better."""

    row: MetricRow | None
    best: bool


class MetricsView:
    """The figures of one evaluation at its cut-off."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._rows = {(row.system, row.slice, row.metric): row for row in metrics.rows}
        present = {row.metric for row in metrics.rows if row.slice == ALL}
        self.tables = {
            title: names
            for title, bases in TABLES.items()
            if (names := [name for name in (f"{base}@{metrics.cutoff}" for base in bases) if name in present])
        }
        self.main, self.recall = f"ndcg@{metrics.cutoff}", f"recall@{metrics.cutoff}"
        found = {row.system for row in metrics.rows if row.slice == ALL}
        self.systems = sorted(found, key=lambda name: (name != OURS, -self._value(name, self.main), name))

    def row(self, system: str, metric: str, where: str = ALL) -> MetricRow | None:
        """One figure; None where the evaluation has it not."""
        return self._rows.get((system, where, metric))

    def table(self, columns: Sequence[str]) -> list[tuple[str, list[Cell]]]:
        """Every system with a cell per column; ours first, the others by NDCG."""
        best = {name: self._best(name) for name in columns}
        return [(s, [Cell(self.row(s, name), s in best[name]) for name in columns]) for s in self.systems]

    @property
    def others(self) -> list[str]:
        """Systems that ours is compared with, strongest first."""
        return [name for name in self.systems if name != OURS]

    @property
    def differences(self) -> list[tuple[str, MetricRow | None, MetricRow | None]]:
        """Every other system with its rows for NDCG and recall, which hold the paired differences."""
        return [(name, self.row(name, self.main), self.row(name, self.recall)) for name in self.others]

    @property
    def charts(self) -> list[Chart]:
        """NDCG of each system, and by how much ours is ahead of each."""
        name = words.metric(self.main)
        rows = [(system, self.row(system, self.main)) for system in self.systems]
        values = [DotRow(words.system(s), (_mark(row, 0 if s == OURS else 1),)) for s, row in rows if row]
        ahead = [
            DotRow(words.system(s), (Mark(row.difference, row.difference_low, row.difference_high),))
            for s, row in rows
            if row and row.difference is not None
        ]
        drawn = [Chart(f"{name} of each system", charts.dots(values, f"{name} of each system with 95 % intervals"))]
        if ahead:
            title = f"xlrec minus each other system, {name}"
            drawn.append(Chart(title, charts.dots(ahead, f"{title}, with 95 % intervals", difference=True)))
        return drawn

    @property
    def slices(self) -> list[Chart]:
        """NDCG of ours and of the strongest other system in each slice, a chart per dimension."""
        rival = next(iter(self.others), None)
        shown = [OURS, rival] if rival else [OURS]
        legend = charts.legend([words.system(name) for name in shown], dots=True)
        drawn = []
        for dimension in self._dimensions():
            rows = [row for row in self.metrics.rows if self._in(row, dimension)]
            rows.sort(key=lambda row: _slice_order(dimension, row))
            kept, note = _first(rows)
            dots = [
                DotRow(_slice_label(dimension, row.slice), self._marks(shown, row.slice), f"{row.n_users:,} users")
                for row in kept
            ]
            title = _DIMENSIONS.get(dimension, f"By {dimension}")
            svg = charts.dots(dots, f"{words.metric(self.main)} {title.lower()}")
            drawn.append(Chart(title, svg, legend, note))
        return drawn

    def _dimensions(self) -> list[str]:
        found = dict.fromkeys(row.slice.partition("=")[0] for row in self.metrics.rows if row.slice != ALL)
        known = [name for name in _DIMENSIONS if name in found]
        return known + [name for name in found if name not in _DIMENSIONS]

    def _in(self, row: MetricRow, dimension: str) -> bool:
        return row.system == OURS and row.metric == self.main and row.slice.startswith(f"{dimension}=")

    def _marks(self, systems: Sequence[str], where: str) -> tuple[Mark, ...]:
        rows = [(i, self.row(system, self.main, where)) for i, system in enumerate(systems)]
        return tuple(_mark(row, i) for i, row in rows if row)

    def _value(self, system: str, metric: str) -> float:
        row = self.row(system, metric)
        return row.value if row and row.value == row.value else float("-inf")

    def _best(self, metric: str) -> set[str]:
        base = metric.partition("@")[0]
        if base in words.DESCRIPTIVE:
            return set()
        sign = -1 if base in words.LOWER_IS_BETTER else 1
        values = {s: sign * row.value for s in self.systems if (row := self.row(s, metric)) and row.value == row.value}
        return {s for s, value in values.items() if value == max(values.values())}


def lists_charts(lists: Lists) -> list[Chart]:
    """Languages that are listed beside those that are read, and the sources of each market's rows."""
    drawn = []
    if lists.languages:
        languages, note = _first(sorted(lists.languages, key=lambda row: (-max(row.listed, row.read), row.language)))
        names = ("in the lists", "what users read")
        bars = [BarRow(words.language(row.language), (row.listed, row.read)) for row in languages]
        svg = charts.grouped_bars(bars, names, "Share of each language in the lists and in what users read")
        drawn.append(Chart("Languages", svg, charts.legend(names), note))
    if lists.sources:
        sources = (*SOURCES, FALLBACK)
        rows = {(row.market, row.source): row.rows for row in lists.sources}
        markets, note = _first(sorted({row.market for row in lists.sources}))
        bars = [BarRow(words.market(m), tuple(float(rows.get((m, s), 0)) for s in sources)) for m in markets]
        svg = charts.stacked_bars(bars, sources, "Share of each source among the rows of each market")
        drawn.append(Chart("Sources by market", svg, charts.legend(sources), note))
    return drawn


def _mark(row: MetricRow, series: int) -> Mark:
    return Mark(row.value, row.low, row.high, series)


def _first(rows: Sequence[T]) -> tuple[Sequence[T], str]:
    left = len(rows) - MOST_ROWS
    return (rows[:MOST_ROWS], f"The first {MOST_ROWS} of {len(rows)}.") if left > 0 else (rows, "")


def _slice_order(dimension: str, row: MetricRow) -> tuple[float, str]:
    """Histories from short to long, all others by their users."""
    if dimension != "history":
        return -row.n_users, row.slice
    numbers = re.findall(r"\d+", row.slice)
    return float(numbers[0]) if numbers else 0.0, row.slice


def _slice_label(dimension: str, where: str) -> str:
    value = where.partition("=")[2]
    if dimension == "language":
        return words.language(value)
    return words.market(value) if dimension == "market" else value.replace("-", "\u2013")
