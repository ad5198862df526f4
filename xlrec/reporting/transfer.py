"""Report of a transfer: the curve as a page and on the terminal, and the command that uses the model."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from rich.console import Console
from rich.table import Column
from rich.text import Text

from xlrec.reporting import charts, words
from xlrec.reporting.charts import DotRow, Mark, line_chart, page_environment
from xlrec.reporting.console import figure_cell, label_grid, metric_columns, plain_table
from xlrec.reporting.views import Chart, history_length
from xlrec.training.recommender.quality import METRICS
from xlrec.training.transfer import FEW_SHOT, POPULARITY, TEXT, ZERO_SHOT, Choice, Outcome
from xlrec.training.transfer.figures import ALL, Difference, Figure
from xlrec.training.transfer.strategies import JOINT, STRATEGIES, TARGET_ONLY

_LEAST_USERS: Final = 20  # users; with fewer a metric is in the tables alone


@dataclass(frozen=True)
class TransferData:
    """One transfer and the places of its results."""

    by: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    run_id: str
    run_date: date
    lake: str
    model: str
    outcome: Outcome
    config_file: str

    @property
    def nightly_command(self) -> str:
        """Command of a nightly run that serves the targets by the kept arm, all other markets as before."""
        if self.by == "language" or (self.kept_choice and self.kept_choice.kept == JOINT.name):
            return f"xlrec run --config {self.config_file}    # it learns from all markets and languages together"
        named = " ".join(f"--set train.factors.models.{market}={self.model}" for market in self.targets)
        return f"xlrec run --config {self.config_file} {named}"

    @property
    def kept_choice(self) -> Choice | None:
        """Choice for all of the target's logs."""
        return self.outcome.choices[-1] if self.outcome.choices else None

    @property
    def few_shot_shares(self) -> list[float]:
        """Shares of the few-shot arms, ascending."""
        return [choice.share for choice in self.outcome.choices]


class TransferView:
    """Figures in order, charts drawn."""

    def __init__(self, data: TransferData) -> None:
        self.data, outcome = data, data.outcome
        self._figures = {(f.strategy, f.share, f.metric, f.slice): f for f in outcome.figures}
        self._differences = {(d.strategy, d.share, d.other, d.other_share, d.metric): d for d in outcome.differences}
        self.slices = list(dict.fromkeys(f.slice for f in outcome.figures if f.slice != ALL))

    def figure_of(self, arm: str, share: float, metric: str = METRICS[0], where: str = ALL) -> Figure | None:
        """The mean of an arm; None where no user has it."""
        return self._figures.get((arm, share, metric, where))

    @property
    def arm_rows(self) -> list[tuple[str, float, list[Figure | None]]]:
        """Every arm and share with its metrics: arms without the target first, then share by share."""
        rows = [(ZERO_SHOT, 0.0), (TEXT, 0.0), (POPULARITY, 1.0)]
        rows += [(way.name, share) for share in self.data.few_shot_shares for way in STRATEGIES]
        return [(arm, share, [self.figure_of(arm, share, name) for name in METRICS]) for arm, share in rows]

    @property
    def short_rows(self) -> list[tuple[str, float, list[Figure | None]]]:
        """Rows of the terminal: without learning, carried over and chosen at each share, and the target alone."""
        rows = {(ZERO_SHOT, 0.0), (TEXT, 0.0), (POPULARITY, 1.0)}
        for choice in self.data.outcome.choices:
            rows |= {(name, choice.share) for name in (choice.few_shot, TARGET_ONLY.name, choice.kept)}
        return [row for row in self.arm_rows if row[:2] in rows]

    def is_kept(self, arm: str, share: float) -> bool:
        """Whether the inner split chose this arm for this share."""
        return any(choice.share == share and choice.kept == arm for choice in self.data.outcome.choices)

    def difference_of(self, arm: str, share: float, other: str, other_share: float) -> Difference | None:
        """The paired difference of two arms in the first metric; None where there is none."""
        return self._differences.get((arm, share, other, other_share, METRICS[0]))

    @property
    def curve_charts(self) -> list[Chart]:
        """A curve per metric over the shares, and zero-shot beside target only by history length."""
        steps, drawn = [0.0, *self.data.few_shot_shares], []
        for metric in METRICS:
            zero = self.figure_of(ZERO_SHOT, 0.0, metric)
            if zero is None or zero.n_users < _LEAST_USERS:
                continue
            rows = {
                "carried over": [self._mark(FEW_SHOT if s else ZERO_SHOT, s, metric) for s in steps],
                "target only": [self._mark(TARGET_ONLY.name, s, metric) for s in steps],
            }
            levels = (self.figure_of(POPULARITY, 1.0, metric), self.figure_of(TEXT, 0.0, metric))
            values = {figure.strategy: figure.value for figure in levels if figure}
            title = f"{words.metric_title(metric)} by share of the target's logs"
            svg = line_chart(rows, values, list(map(_percent, steps)), title)
            drawn.append(Chart(title, svg, charts.chart_legend(list(rows), dots=True)))
        return [*drawn, *self._by_history()]

    def _by_history(self) -> list[Chart]:
        rows = []
        for where in sorted(self.slices, key=history_length):
            if figure := self.figure_of(ZERO_SHOT, 0.0, METRICS[0], where):
                two = self._mark(ZERO_SHOT, 0.0, where=where), self._mark(TARGET_ONLY.name, 1.0, where=where, series=1)
                label = where.partition("=")[2].replace("-", "–")
                rows.append(DotRow(label, tuple(filter(None, two)), f"{figure.n_users:,} users"))
        title = f"{words.metric_title(METRICS[0])} by distinct items in the history"
        legend = charts.chart_legend(["zero-shot", "target only, all of its logs"], dots=True)
        return [Chart(title, charts.dot_chart(rows, title), legend)] if rows else []

    def _mark(self, arm: str, share: float, metric: str = METRICS[0], where: str = ALL, series: int = 0) -> Mark | None:
        figure = self.figure_of(arm, share, metric, where)
        return Mark(figure.value, figure.low, figure.high, series) if figure else None


def render_transfer(data: TransferData) -> str:
    """The whole page."""
    return page_environment().get_template("transfer.html").render(
        t=data, view=TransferView(data), metrics=METRICS, percent=_percent, outcome=kept_summary(data),
        arms=words.report_words()["arms"], ways=[way.name for way in STRATEGIES],
    )  # fmt: skip


def print_curve(data: TransferData, page: str, console: Console | None = None) -> None:
    """Prints the curve, the arm that is kept, by how much it is ahead, and the command that uses it."""
    out, view = console or Console(), TransferView(data)
    title = f"Transfer {', '.join(data.sources)} → {', '.join(data.targets)}"
    arm_columns = Column("arm", min_width=17), Column("logs", justify="right")
    table = plain_table(*arm_columns, *metric_columns(METRICS), title=title)
    for arm, share, figures in view.short_rows:
        style = "bold" if arm == ZERO_SHOT or view.is_kept(arm, share) else ""
        table.add_row(Text(arm), Text(_percent(share)), *map(figure_cell, figures), style=style)
    out.print(table)
    out.print(Text(kept_summary(data)))
    out.print(label_grid([("model", data.model), ("page", page), ("use it", data.nightly_command)]))


def kept_summary(data: TransferData) -> str:
    """A sentence: the arm that is kept for the target, and by how much it is ahead."""
    choice = data.kept_choice
    if choice is None:
        return "The target has no logs: the source model is kept, and nothing could be measured."
    ahead = {name: map(words.format_signed, numbers) for name, numbers in choice.ahead.items()}
    rest = "; ".join("{} ({} to {})".format(*numbers) + f" on {name}" for name, numbers in ahead.items())
    kept = f"Kept for {', '.join(data.targets)}: {choice.kept}, on the inner split of {choice.n_users:,} users"
    return f"{kept} ahead by {rest} in NDCG."


def _percent(share: float) -> str:
    return f"{100 * share:g}\u00a0%"
