"""What a person sees of a transfer: the curve as a page and on the terminal, and the line of config that uses it."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from markupsafe import Markup
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xlrec.reporting import charts, words
from xlrec.reporting.charts import DotRow, Mark
from xlrec.reporting.curves import Curve, Level, curves
from xlrec.reporting.html import environment
from xlrec.reporting.views import Chart
from xlrec.training.recommender.quality import METRICS
from xlrec.training.transfer import FEW_SHOT, KEPT, POPULARITY, TEXT, ZERO_SHOT, Choice, Outcome
from xlrec.training.transfer.figures import ALL, Difference, Figure
from xlrec.training.transfer.strategies import AS_IT_IS, JOINT, TARGET_ONLY, WAYS

#: Every arm with what it is, in the order of the tables.
ARMS: Final = {
    ZERO_SHOT: "the source model; nothing of the target was learnt, its users are served from their histories",
    AS_IT_IS.name: "the source model again, where a share of the target's logs is there to be learnt from",
    JOINT.name: "trained on the source's logs and the share together",
    TARGET_ONLY.name: "trained on the share alone",
    FEW_SHOT: "the best of those that use the source, by the inner split of the share",
    KEPT: "the best of all by the inner split of the share",
    POPULARITY: "what is popular in the target",
    TEXT: "nearness of the texts to the history; nothing is learnt",
}
#: With fewer users a metric is in the tables alone.
_LEAST_USERS: Final = 20


@dataclass(frozen=True)
class TransferData:
    """One transfer, and where its results lie."""

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
    def line(self) -> str:
        """Command of a nightly run that serves the targets by what was kept for them, all other markets as before."""
        if self.by == "language" or (self.kept and self.kept.kept == JOINT.name):
            return f"xlrec run --config {self.config_file}    # it learns from all markets and languages together"
        named = " ".join(f"--set train.factors.models.{market}={self.model}" for market in self.targets)
        return f"xlrec run --config {self.config_file} {named}"

    @property
    def kept(self) -> Choice | None:
        """What was chosen for all of the target's logs."""
        return self.outcome.choices[-1] if self.outcome.choices else None

    @property
    def shares(self) -> list[float]:
        """Of the few-shot arms, ascending."""
        return [choice.share for choice in self.outcome.choices]


class TransferView:
    """Figures in order, charts drawn."""

    def __init__(self, data: TransferData) -> None:
        """Looks the figures up."""
        self.data, outcome = data, data.outcome
        self._figures = {(f.arm, f.share, f.metric, f.slice): f for f in outcome.figures}
        self._differences = {(d.arm, d.share, d.other, d.other_share, d.metric): d for d in outcome.differences}
        self.slices = list(dict.fromkeys(f.slice for f in outcome.figures if f.slice != ALL))

    def figure(self, arm: str, share: float, metric: str = METRICS[0], where: str = ALL) -> Figure | None:
        """One mean; None where no user has it."""
        return self._figures.get((arm, share, metric, where))

    @property
    def table(self) -> list[tuple[str, float, list[Figure | None]]]:
        """Every arm and share with its metrics: arms without the target first, then share by share."""
        rows = [(ZERO_SHOT, 0.0), (TEXT, 0.0), (POPULARITY, 1.0)]
        rows += [(way.name, share) for share in self.data.shares for way in WAYS]
        return [(arm, share, [self.figure(arm, share, name) for name in METRICS]) for arm, share in rows]

    @property
    def short(self) -> list[tuple[str, float, list[Figure | None]]]:
        """What learns nothing, what was carried over at each share (by its own name), and the target alone."""
        shown = {(ZERO_SHOT, 0.0), (TEXT, 0.0), (POPULARITY, 1.0)}
        for choice in self.data.outcome.choices:
            shown |= {(choice.few_shot, choice.share), (TARGET_ONLY.name, choice.share), (choice.kept, choice.share)}
        return [row for row in self.table if row[:2] in shown]

    def is_kept(self, arm: str, share: float) -> bool:
        """Whether the inner split chose this arm for this share."""
        return any(choice.share == share and choice.kept == arm for choice in self.data.outcome.choices)

    @property
    def ahead(self) -> list[tuple[str, list[Difference | None]]]:
        """Zero-shot and few-shot at each share against popularity, text, target only (all logs; the same share)."""
        found = []
        for arm, share in [(ZERO_SHOT, 0.0)] + [(FEW_SHOT, share) for share in self.data.shares]:
            rivals = [
                (POPULARITY, 1.0),
                (TEXT, 0.0),
                (TARGET_ONLY.name, 1.0),
                (TARGET_ONLY.name, share),
                (ZERO_SHOT, 0.0),
            ]
            cells = [self._differences.get((arm, share, *rival, METRICS[0])) for rival in rivals]
            found.append((f"{arm}{_of(share)}", cells))
        return found

    @property
    def charts(self) -> list[Chart]:
        """A curve per metric over the shares, and zero-shot beside target only by history length."""
        steps = [0.0, *self.data.shares]
        drawn = []
        for metric in METRICS:
            zero = self.figure(ZERO_SHOT, 0.0, metric)
            if zero is None or zero.n_users < _LEAST_USERS:
                continue
            rows = [
                Curve("carried over", tuple(self._mark(FEW_SHOT if s else ZERO_SHOT, s, metric) for s in steps)),
                Curve("target only", tuple(self._mark(TARGET_ONLY.name, s, metric) for s in steps)),
            ]
            found = [(name, self.figure(name, share, metric)) for name, share in ((POPULARITY, 1.0), (TEXT, 0.0))]
            levels = [Level(name, figure.value) for name, figure in found if figure]
            title = f"{words.metric(metric)} by share of the target's logs"
            svg = curves(rows, levels, [_percent(step) for step in steps], title)
            drawn.append(Chart(title, svg, charts.legend([row.name for row in rows], dots=True)))
        return [*drawn, *self._by_history()]

    def _by_history(self) -> list[Chart]:
        names = ((ZERO_SHOT, 0.0), (TARGET_ONLY.name, 1.0))
        rows = []
        for where in self.slices:
            marks = [self._mark(arm, share, METRICS[0], where, i) for i, (arm, share) in enumerate(names)]
            figure = self.figure(ZERO_SHOT, 0.0, METRICS[0], where)
            if figure:
                label = where.partition("=")[2].replace("-", "–")
                rows.append(DotRow(label, tuple(m for m in marks if m), f"{figure.n_users:,} users"))
        rows.sort(key=lambda row: int("".join(c for c in row.label.partition("–")[0] if c.isdigit()) or 0))
        title = f"{words.metric(METRICS[0])} by distinct items in the history"
        legend = charts.legend(["zero-shot", "target only, all of its logs"], dots=True)
        return [Chart(title, charts.dots(rows, title), legend)] if rows else []

    def _mark(self, arm: str, share: float, metric: str, where: str = ALL, series: int = 0) -> Mark | None:
        figure = self.figure(arm, share, metric, where)
        return Mark(figure.value, figure.low, figure.high, series) if figure else None


def render(data: TransferData) -> str:
    """The whole page."""
    return environment().get_template("transfer.html").render(
        t=data, view=TransferView(data), w=words, arms=ARMS, metrics=METRICS, percent=_percent, said=said(data),
        ways=[way.name for way in WAYS],
        svg=lambda drawn: Markup(drawn),  # noqa: S704  # charts escape what they draw
    )  # fmt: skip


def print_curve(data: TransferData, page: str, console: Console | None = None) -> None:
    """Prints the curve, what was kept and by how much, and the line of config."""
    out, view = console or Console(), TransferView(data)
    names = f"{', '.join(data.sources)} → {', '.join(data.targets)}"
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"Transfer {names}", title_justify="left", title_style="bold")
    shown.add_column("arm", min_width=17)
    shown.add_column("logs", justify="right")
    for name in METRICS:
        shown.add_column(words.metric(name), justify="right", min_width=11)
    for arm, share, figures in view.short:
        cells = [Text(arm), Text(_percent(share))]
        for figure in figures:
            cell = Text(words.score(figure.value if figure else None))
            if figure:
                cell.append(f"\n{words.score(figure.low)}–{words.score(figure.high)}", style="dim")
            cells.append(cell)
        shown.add_row(*cells, style="bold" if arm == ZERO_SHOT or view.is_kept(arm, share) else "")
    out.print(shown)
    out.print(Text(said(data)))
    places = Table.grid(padding=(0, 2))
    places.add_column(style="dim")
    places.add_column(overflow="fold")
    places.add_row("model", Text(data.model))
    places.add_row("page", Text(page))
    places.add_row("use it", Text(data.line))
    out.print(places)


def said(data: TransferData) -> str:
    """What is kept for the target, and by how much it is ahead, in a sentence."""
    choice = data.kept
    if choice is None:
        return "The target has no logs: the source model is kept, and nothing could be measured."
    rest = [
        f"{words.signed(value)} ({words.signed(low)} to {words.signed(high)}) on {name}"
        for name, (value, low, high) in choice.ahead.items()
    ]
    return (
        f"Kept for {', '.join(data.targets)}: {choice.kept}, on the inner split of {choice.n_users:,} users "
        f"ahead by {'; '.join(rest)} in NDCG."
    )


def _percent(share: float) -> str:
    return f"{100 * share:g}\u00a0%"


def _of(share: float) -> str:
    return f", {_percent(share)}" if share else ""
