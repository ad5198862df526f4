"""Terminal part of a report: lists, metrics and paths at the end of a run, and a list in `xlrec explain`."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from xlrec.kernels.base.names import FALLBACK, SOURCES
from xlrec.reporting import words
from xlrec.reporting.data import OURS, Listed, Metrics, ReportData, UserList
from xlrec.reporting.views import MetricsView

HEADLINES: Final = ("ndcg", "recall", "cross_lingual_recall", "coverage")  # columns of the short table of metrics
_N_USERS: Final = 3  # users whose lists a run prints
_N_BASELINES: Final = 2  # systems beside ours in the table of metrics
#: Width of a figure with its interval, so that none is cut on a terminal of 80 columns.
_FIGURE: Final = len("0.123–0.456")
#: Direction controls in a text that could reorder the rest of its line.
_BIDI_CONTROLS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")


def print_run(report: ReportData, *, table: str, page: str, console: Console | None = None) -> None:
    """Prints the end of a run: sample lists, metrics, the paths of the table and the page, commands to try next."""
    out, header = console or Console(), report.header
    for user in report.samples[:_N_USERS]:
        print_list(user, out)
    if report.metrics and report.metrics.rows:
        out.print(metrics_table(report.metrics))
    out.print(label_grid([("run", f"{header.run_id}, {header.status}"), ("table", table), ("report", page)]))
    steps = [
        ("why a user gets a list", f"xlrec explain --config {header.config_file} --user ID"),
        ("score the lists against held-out events", f"xlrec evaluate --config {header.config_file}"),
        ("what readers may rely on", "xlrec contract"),
        ("another mix", f"xlrec run --config {header.config_file} --set rank.languages=only"),
    ]
    out.print(label_grid(steps, "\nTry next"))


def print_list(user: UserList, console: Console, *, heading: bool = True, n_because: int = 1) -> None:
    """Prints one user's list: title, language, market, score and why, with up to `n_because` titles of the history."""
    if heading:
        console.print(_heading(user))
    if not user.items:
        console.print(Text("  no list: the market has no item that this user may get\n", style="dim"))
        return
    table = plain_table(
        Column("", justify="right", style="dim"), Column("title", ratio=3, overflow="fold"),
        Column("lang", style="cyan"), Column("market"), Column("score", justify="right"),
        Column("why", ratio=3, overflow="fold", style="dim"),
    )  # fmt: skip
    for item in user.items:
        language, market = Text(words.language_name(item.language)), Text(words.market_name(user.market))
        score, reason = words.format_score(item.score), _reason(item, n_because)
        table.add_row(str(item.rank), isolated_text(item.title), language, market, score, reason)
    console.print(table)


def print_explanation(user: UserList, console: Console | None = None) -> None:
    """Prints one user's history, then the list with its reasons."""
    out = console or Console()
    out.print(_heading(user))
    if not user.history:
        out.print(Text("  no history: the list is what is popular in the market\n", style="dim"))
    else:
        names = Column("history, newest first", overflow="fold"), Column("lang", style="cyan")
        table = plain_table(*names, Column("item", style="dim", overflow="fold"))
        for item in user.history:
            language = Text(words.language_name(item.language))
            table.add_row(isolated_text(item.title), language, isolated_text(item.item_id))
        out.print(table)
    n_older = (user.n_history or 0) - len(user.history)
    if n_older > 0:
        out.print(Text(f"  and {n_older:,} older items\n", style="dim"))
    print_list(user, out, heading=False, n_because=len(user.history))
    counts = Counter(item.source for item in user.items)
    if counts:
        sources = ", ".join(f"{source} {counts[source]}" for source in (*SOURCES, FALLBACK) if counts[source])
        out.print(Text(f"sources: {sources}", style="dim"))


def metrics_table(metrics: Metrics) -> Table:
    """Our headline metrics with 95 % intervals, beside the strongest baselines (single sources are none)."""
    view = MetricsView(metrics)
    baselines = [name for name in view.other_systems if name not in SOURCES or name == "popular"][:_N_BASELINES]
    if "popular" in view.other_systems and "popular" not in baselines:
        baselines = [*baselines[: _N_BASELINES - 1], "popular"]
    names = [name for columns in view.tables.values() for name in columns if name.partition("@")[0] in HEADLINES]
    systems = Column("system", min_width=len("Most popular"))
    table = plain_table(systems, *metric_columns(names), title="Offline metrics")
    for system in (OURS, *baselines):
        cells = [figure_cell(view.figure_of(system, name)) for name in names]
        table.add_row(Text(words.system_name(system)), *cells, style="bold" if system == OURS else "")
    return table


def matrix_table(texts: Sequence[str], languages: Sequence[str], scores: NDArray[np.float64]) -> Table:
    """The n texts with their languages and cosines; each row's most similar other text is bold, NaN a dash.

    `scores` are (n, n) float64 cosines.
    """
    numbers = [Column(str(num), justify="right", no_wrap=True) for num in range(1, len(texts) + 1)]
    text_columns = Column("text", overflow="fold"), Column("lang", style="cyan")
    table = plain_table(Column("", justify="right", style="dim"), *text_columns, *numbers)
    for num, (text, language, row) in enumerate(zip(texts, languages, scores, strict=True)):
        others = [(score, -place) for place, score in enumerate(row) if place != num and isfinite(score)]
        styles = {num: "dim"} | ({-max(others)[1]: "bold green"} if others else {})
        shown = (f"{score:.2f}" if isfinite(score) else words.NOTHING for score in row)
        cells = [Text(score, style=styles.get(place, "")) for place, score in enumerate(shown)]
        table.add_row(str(num + 1), isolated_text(text), Text(words.language_name(language)), *cells)
    return table


def metric_columns(names: Iterable[str]) -> list[Column]:
    """A column per metric, wide enough for a figure with its interval."""
    return [Column(words.metric_title(name), justify="right", min_width=_FIGURE) for name in names]


def figure_cell(figure: Any) -> Text:
    """The value of a figure (value, low, high) above its interval; a dash for None."""
    cell = Text(words.format_score(figure.value if figure else None))
    if figure and figure.low is not None and figure.high is not None:
        cell.append(f"\n{words.format_score(figure.low)}–{words.format_score(figure.high)}", style="dim")
    return cell


def plain_table(*columns: Column, title: str | None = None) -> Table:
    """An empty table of all reports: a rule below its head, the title bold on the left."""
    return Table(*columns, box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold")


def label_grid(rows: Iterable[tuple[str, str]], title: str | None = None) -> Table:
    """Dim labels beside their values, without lines."""
    grid = Table.grid(Column(style="dim"), Column(overflow="fold"), padding=(0, 2))
    grid.title, grid.title_justify, grid.title_style = title, "left", "bold"
    for label, value in rows:
        grid.add_row(Text(label), Text(value))
    return grid


def isolated_text(title: str) -> Text:
    """A title without terminal controls, its direction isolated from the line; no mark-up in it is read."""
    plain = "".join(each for each in _BIDI_CONTROLS.sub("", title) if unicodedata.category(each) != "Cc")
    is_rtl = any(unicodedata.bidirectional(each) in ("R", "AL") for each in plain)
    return Text(f"\u2068{plain}\u2069" if is_rtl else plain)


def _reason(item: Listed, n_because: int) -> Text:
    """Why the item is listed, with up to n_because of the history's titles, heaviest first."""
    reason = Text(words.reason_text(item.source, bool(item.because)))
    for i, title in enumerate(item.because[:n_because]):
        reason.append(", “" if i else " “").append_text(isolated_text(title)).append("”")
    return reason


def _heading(user: UserList) -> Text:
    heading = Text.assemble((isolated_text(user.label).plain, "bold"), f"  market {words.market_name(user.market)}")
    return heading.append(f", reads {', '.join(map(words.language_name, user.languages))}" if user.languages else "")
