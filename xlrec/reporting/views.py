"""Charts and tables of the page from the report's data: figures in order, best systems marked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from xlrec.kernels.base.names import FALLBACK, SOURCES
from xlrec.reporting import charts, words
from xlrec.reporting.charts import DotRow, Mark
from xlrec.reporting.data import ALL, OURS, Lists, MetricRow, Metrics

T = TypeVar("T")

#: Rows of a chart; the others are counted in a note.
MOST_ROWS: Final = 14
#: Tables of metrics and their columns, where the evaluation has them.
TABLES: Final = {
    "Accuracy": ("ndcg", "recall", "mrr", "map", "hit_rate"),
    "Beyond accuracy": (
        "cross_lingual_recall", "cold_item_recall", "coverage", "novelty", "diversity", "language_mix_error",
    ),
}  # fmt: skip
_DIMENSIONS: Final = {
    "market": "By market",
    "language": "By the user's main language",
    "history": "By distinct items in the history",
    "cold_items": "By whether cold items were chosen",
}


@dataclass(frozen=True)
class Chart:
    """A drawing with its heading, and a note on the rows it leaves out."""

    title: str
    svg: str
    legend: str = ""
    note: str = ""


class MetricsView:
    """Figures of one evaluation at its cut-off: tables by system, charts by system and slice."""

    def __init__(self, metrics: Metrics) -> None:
        self._rows = {(row.system, row.slice, row.metric): row for row in metrics.rows}
        overall = [row for row in metrics.rows if row.slice == ALL]
        present = {row.metric for row in overall}
        self.tables = {
            title: names
            for title, bases in TABLES.items()
            if (names := [name for name in (f"{base}@{metrics.cutoff}" for base in bases) if name in present])
        }
        self.main, self.recall = f"ndcg@{metrics.cutoff}", f"recall@{metrics.cutoff}"
        values = {row.system: row.value for row in overall if row.metric == self.main and row.value == row.value}
        self.systems = sorted(
            {row.system for row in overall}, key=lambda name: (name != OURS, -values.get(name, float("-inf")), name)
        )

    def figure_of(self, system: str, metric: str, where: str = ALL) -> MetricRow | None:
        """One figure; None where the evaluation lacks it."""
        return self._rows.get((system, where, metric))

    def system_rows(self, columns: Sequence[str]) -> list[tuple[str, list[tuple[MetricRow | None, bool]]]]:
        """Every system with a figure per column and whether it is the best; ours first, the others by NDCG."""
        best = {name: self._best(name) for name in columns}
        return [(s, [(self.figure_of(s, name), s in best[name]) for name in columns]) for s in self.systems]

    @property
    def other_systems(self) -> list[str]:
        """Systems beside ours, strongest first."""
        return [name for name in self.systems if name != OURS]

    @property
    def system_charts(self) -> list[Chart]:
        """NDCG of each system, and the difference of ours to each."""
        name = words.metric_title(self.main)
        rows = [row for system in self.systems if (row := self.figure_of(system, self.main))]
        values = [DotRow(words.system_name(row.system), (_mark(row, 0 if row.system == OURS else 1),)) for row in rows]
        differences = [
            DotRow(words.system_name(row.system), (Mark(row.difference, row.difference_low, row.difference_high),))
            for row in rows
            if row.difference is not None
        ]
        drawn = [
            Chart(f"{name} of each system", charts.dot_chart(values, f"{name} of each system with 95 % intervals"))
        ]
        if differences:
            title = f"xlrec minus each other system, {name}"
            drawn.append(Chart(title, charts.dot_chart(differences, f"{title}, with 95 % intervals", difference=True)))
        return drawn

    @property
    def slice_charts(self) -> list[Chart]:
        """NDCG of ours and of the strongest other system in each slice, a chart per dimension."""
        pair = [OURS, *self.other_systems[:1]]
        legend = charts.chart_legend([words.system_name(name) for name in pair], dots=True)
        ours = [row for (system, _, metric), row in self._rows.items() if system == OURS and metric == self.main]
        dimensions = list(dict.fromkeys(row.slice.partition("=")[0] for row in ours if row.slice != ALL))
        drawn = []
        for dimension in sorted(
            dimensions, key=lambda name: list(_DIMENSIONS).index(name) if name in _DIMENSIONS else 9
        ):
            rows = [row for row in ours if row.slice.startswith(f"{dimension}=")]
            by_users = dimension != "history"
            rows.sort(key=lambda row: (-row.n_users if by_users else history_length(row.slice), row.slice))
            first, note = _first(rows)
            dots = []
            for row in first:
                both = [self.figure_of(system, self.main, row.slice) for system in pair]
                marks = tuple(_mark(figure, i) for i, figure in enumerate(both) if figure)
                dots.append(DotRow(_slice_label(dimension, row.slice), marks, f"{row.n_users:,} users"))
            title = _DIMENSIONS.get(dimension, f"By {dimension}")
            svg = charts.dot_chart(dots, f"{words.metric_title(self.main)} {title.lower()}")
            drawn.append(Chart(title, svg, legend, note))
        return drawn

    def _best(self, metric: str) -> set[str]:
        base = metric.partition("@")[0]
        if base in words.DESCRIPTIVE:
            return set()
        sign = -1 if base in words.LOWER_IS_BETTER else 1
        values = {
            s: sign * row.value for s in self.systems if (row := self.figure_of(s, metric)) and row.value == row.value
        }
        return {s for s, value in values.items() if value == max(values.values())}


def lists_charts(lists: Lists) -> list[Chart]:
    """Languages of the lists beside those users read, and the sources of each market's rows."""
    drawn = []
    if lists.languages:
        languages, note = _first(sorted(lists.languages, key=lambda row: (-max(row.listed, row.read), row.language)))
        names = ("in the lists", "what users read")
        bars = {words.language_name(row.language): (row.listed, row.read) for row in languages}
        svg = charts.grouped_bars(bars, names, "Share of each language in the lists and in what users read")
        drawn.append(Chart("Languages", svg, charts.chart_legend(names), note))
    if lists.sources:
        sources = (*SOURCES, FALLBACK)
        rows = {(row.market, row.source): row.rows for row in lists.sources}
        markets, note = _first(sorted({row.market for row in lists.sources}))
        counts = {words.market_name(market): [float(rows.get((market, s), 0)) for s in sources] for market in markets}
        svg = charts.stacked_bars(counts, sources, "Share of each source among the rows of each market")
        drawn.append(Chart("Sources by market", svg, charts.chart_legend(sources), note))
    return drawn


def history_length(where: str) -> int:
    """Least number of items of a slice by history, such as 3 of `history=3-9`; 0 where it has no number."""
    numbers = re.findall(r"\d+", where)
    return int(numbers[0]) if numbers else 0


def _mark(row: MetricRow, series: int) -> Mark:
    return Mark(row.value, row.low, row.high, series)


def _first(rows: Sequence[T]) -> tuple[Sequence[T], str]:
    """Rows of a chart, and the note on the rest."""
    return rows[:MOST_ROWS], f"The first {MOST_ROWS} of {len(rows)}." if len(rows) > MOST_ROWS else ""


def _slice_label(dimension: str, where: str) -> str:
    value = where.partition("=")[2]
    if dimension == "language":
        return words.language_name(value)
    return words.market_name(value) if dimension == "market" else value.replace("-", "\u2013")
