"""The report as one HTML page, without scripts or anything to load: figures in order, best systems marked, charts."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

from xlrec.kernels.base.names import FALLBACK, SOURCES
from xlrec.reporting import charts, words
from xlrec.reporting.charts import DotRow, Mark, page_environment
from xlrec.reporting.data import ALL, OURS, Lists, MetricRow, Metrics, ReportData

T = TypeVar("T")

MOST_ROWS: Final = 14  # rows of a chart; the others are counted in a note


class Chart(NamedTuple):
    """A drawing with its heading, and a note on the rows it leaves out."""

    title: str
    svg: str
    legend: str = ""
    note: str = ""


class MetricsView:
    """Figures of one evaluation at its cut-off: tables by system, charts by system and slice."""

    def __init__(self, metrics: Metrics) -> None:
        self._rows = {(row.system, row.slice, row.metric): row for row in metrics.rows}
        present = {row.metric for row in metrics.rows if row.slice == ALL}
        tables = {
            title: [name for base in bases if (name := f"{base}@{metrics.cutoff}") in present]
            for title, bases in words.report_words()["tables"].items()
        }
        self.tables = {title: names for title, names in tables.items() if names}
        self.main, self.recall = f"ndcg@{metrics.cutoff}", f"recall@{metrics.cutoff}"
        values = self._values(self.main, {row.system for row in metrics.rows if row.slice == ALL})
        self.systems = sorted(values, key=lambda name: (name != OURS, -values[name], name))

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
        title = f"{words.metric_title(self.main)} of each system"
        rows = [row for system in self.systems if (row := self.figure_of(system, self.main))]
        values = [DotRow(words.system_name(row.system), (_mark(row, int(row.system != OURS)),)) for row in rows]
        drawn = [Chart(title, charts.dot_chart(values, f"{title} with 95 % intervals"))]
        differences = [
            DotRow(words.system_name(row.system), (Mark(row.difference, row.difference_low, row.difference_high),))
            for row in rows
            if row.difference is not None
        ]
        if differences:
            title = f"xlrec minus each other system, {words.metric_title(self.main)}"
            drawn.append(Chart(title, charts.dot_chart(differences, f"{title}, with 95 % intervals", difference=True)))
        return drawn

    @property
    def slice_charts(self) -> list[Chart]:
        """NDCG of ours and of the strongest other system in each slice, a chart per dimension."""
        ours = [row for row in self._rows.values() if (row.system, row.metric) == (OURS, self.main)]
        titles = words.report_words()["dimensions"]
        found = dict.fromkeys(row.slice.partition("=")[0] for row in ours if row.slice != ALL)
        known = [name for name in titles if name in found]
        return [
            self._slice_chart(name, titles.get(name, f"By {name}"), ours) for name in {**dict.fromkeys(known), **found}
        ]

    def _slice_chart(self, dimension: str, title: str, ours: list[MetricRow]) -> Chart:
        pair = [OURS, *self.other_systems[:1]]
        rows = [row for row in ours if row.slice.startswith(f"{dimension}=")]
        by_history = dimension == "history"
        rows.sort(key=lambda row: (history_length(row.slice) if by_history else -row.n_users, row.slice))
        first, note = _first(rows)
        dots = []
        for row in first:
            both = [self.figure_of(system, self.main, row.slice) for system in pair]
            marks = tuple(_mark(figure, i) for i, figure in enumerate(both) if figure)
            dots.append(DotRow(_slice_label(dimension, row.slice), marks, f"{row.n_users:,} users"))
        legend = charts.chart_legend([words.system_name(name) for name in pair], dots=True)
        return Chart(title, charts.dot_chart(dots, f"{words.metric_title(self.main)} {title.lower()}"), legend, note)

    def _values(self, metric: str, systems: set[str]) -> dict[str, float]:
        """Value of each system; -inf where it has no number."""
        rows = {system: self.figure_of(system, metric) for system in systems}
        return {s: row.value if row and row.value == row.value else float("-inf") for s, row in rows.items()}

    def _best(self, metric: str) -> set[str]:
        """Systems with the best value; none for novelty and diversity, which are not better when higher."""
        base = metric.partition("@")[0]
        rows = [row for s in self.systems if (row := self.figure_of(s, metric)) and row.value == row.value]
        if base in ("novelty", "diversity") or not rows:
            return set()
        best = (min if base == "language_mix_error" else max)(row.value for row in rows)
        return {row.system for row in rows if row.value == best}


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


def render_report(report: ReportData) -> str:
    """The whole page. Equal data gives an equal page: no clock, no randomness."""
    return (
        page_environment()
        .get_template("page.html")
        .render(
            r=report,
            ours=OURS,
            figures=MetricsView(report.metrics) if report.metrics and report.metrics.rows else None,
            list_charts=lists_charts(report.lists) if report.lists else [],
        )
    )


def history_length(where: str) -> int:
    """Least number of items of a slice by history, such as 3 of `history=3-9`; 0 where it has no number."""
    return int((re.findall(r"\d+", where) or [0])[0])


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
