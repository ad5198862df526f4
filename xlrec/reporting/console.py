"""What the terminal shows at the end of a run and for `xlrec explain`: lists, metrics, paths, what to try next."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xlrec.kernels.base.names import FALLBACK, SOURCES
from xlrec.reporting import words
from xlrec.reporting.data import OURS, Header, Listed, Metrics, ReportData, UserList
from xlrec.reporting.views import MetricsView

#: Columns of the short table of metrics.
HEADLINES: Final = ("ndcg", "recall", "cross_lingual_recall", "coverage")
#: Width of a figure with its interval, so that none is cut on a terminal of 80 columns.
_FIGURE: Final = len("0.123–0.456")
#: Directions that a text could force upon the rest of its line.
_BIDI_CONTROLS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")


def print_run(
    report: ReportData,
    *,
    table: str,
    page: str | None,
    console: Console | None = None,
    n_users: int = 3,
    next_steps: Sequence[tuple[str, str]] | None = None,
) -> None:
    """Prints the end of a run.

    Args:
        report: As the page shows it.
        table: Path of the recommendations.
        page: Path of the written report, or None.
        console: stdout where it is None.
        n_users: Sample lists shown.
        next_steps: What to try, as (what it does, command); None for the usual ones.
    """
    out = console or Console()
    for user in report.samples[:n_users]:
        print_list(user, out)
    if report.metrics and report.metrics.rows:
        out.print(metrics_table(report.metrics))
    out.print(_places(report, table, page))
    out.print(_steps(usual_steps(report.header) if next_steps is None else next_steps))


def print_list(user: UserList, console: Console | None = None, *, heading: bool = True, n_because: int = 1) -> None:
    """Prints one user's list: title, language, market, score and why, with up to `n_because` titles of the history."""
    out = console or Console()
    if heading:
        out.print(_heading(user))
    if not user.items:
        out.print(Text("  no list: the market has no item that this user may get\n", style="dim"))
        return
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("", justify="right", style="dim")
    shown.add_column("title", ratio=3, overflow="fold")
    shown.add_column("lang", style="cyan")
    shown.add_column("market")
    shown.add_column("score", justify="right")
    shown.add_column("why", ratio=3, overflow="fold", style="dim")
    for item in user.items:
        language, market = Text(words.language(item.language)), Text(words.market(user.market))
        because = why(item, n_because)
        shown.add_row(str(item.rank), isolated(item.title), language, market, words.score(item.score), because)
    out.print(shown)


def print_explanation(user: UserList, console: Console | None = None) -> None:
    """Prints one user's history with its weights in the profile, then the list with its reasons."""
    out = console or Console()
    out.print(_heading(user))
    if user.history:
        shown = Table(box=SIMPLE_HEAD, pad_edge=False)
        shown.add_column("weight", justify="right")
        shown.add_column("history, newest first", overflow="fold")
        shown.add_column("lang", style="cyan")
        shown.add_column("item", style="dim", overflow="fold")
        for item in user.history:
            weight = words.share(item.weight)
            shown.add_row(weight, isolated(item.title), Text(words.language(item.language)), isolated(item.item_id))
        out.print(shown)
        hidden = (user.n_history or 0) - len(user.history)
        if hidden > 0:
            out.print(Text(f"  and {hidden:,} older items\n", style="dim"))
    else:
        out.print(Text("  no history: the list is what is popular in the market\n", style="dim"))
    print_list(user, out, heading=False, n_because=len(user.history))
    counts = [(source, sum(item.source == source for item in user.items)) for source in (*SOURCES, FALLBACK)]
    said = ", ".join(f"{source} {count}" for source, count in counts if count)
    if said:
        out.print(Text(f"sources: {said}", style="dim"))


def metrics_table(metrics: Metrics, n_baselines: int = 2) -> Table:
    """Our headline metrics with 95 % intervals, beside the strongest baselines (single sources are none)."""
    view = MetricsView(metrics)
    baselines = [name for name in view.others if name not in SOURCES or name == "popular"][:n_baselines]
    if "popular" in view.others and "popular" not in baselines:
        baselines = [*baselines[: n_baselines - 1], "popular"]
    columns = [name for names in view.tables.values() for name in names if name.partition("@")[0] in HEADLINES]
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title="Offline metrics", title_justify="left", title_style="bold")
    shown.add_column("system", min_width=len("Most popular"))
    for name in columns:
        shown.add_column(words.metric(name), justify="right", min_width=_FIGURE)
    for system in (OURS, *baselines):
        cells = [Text(words.system(system))]
        for name in columns:
            row = view.row(system, name)
            cell = Text(words.score(row.value if row else None))
            if row and row.low is not None and row.high is not None:
                cell.append(f"\n{words.score(row.low)}–{words.score(row.high)}", style="dim")
            cells.append(cell)
        shown.add_row(*cells, style="bold" if system == OURS else "")
    return shown


def why(item: Listed, n_because: int) -> Text:
    """Why the item is listed, with up to n_because of the history's titles, heaviest first."""
    shown = Text(words.why(item.source, bool(item.because)))
    for i, title in enumerate(item.because[:n_because]):
        shown.append(", “" if i else " “").append_text(isolated(title)).append("”")
    return shown


def isolated(title: str) -> Text:
    """A title that cannot command the terminal or turn the direction of its line; no mark-up in it is read."""
    plain = "".join(each for each in _BIDI_CONTROLS.sub("", title) if unicodedata.category(each) != "Cc")
    turns = any(unicodedata.bidirectional(each) in ("R", "AL") for each in plain)
    return Text(f"\u2068{plain}\u2069" if turns else plain)


def usual_steps(header: Header) -> list[tuple[str, str]]:
    """What to try after a run."""
    config = f"--config {header.config_file}"
    return [
        ("why a user gets a list", f"xlrec explain {config} --user ID"),
        ("score the lists against held-out events", f"xlrec evaluate {config}"),
        ("what readers may rely on", "xlrec contract"),
        ("another mix", f"xlrec run {config} --set rank.languages=only"),
    ]


def _heading(user: UserList) -> Text:
    heading = Text.assemble((_plain(user.label), "bold"), f"  market {words.market(user.market)}")
    return heading.append(f", reads {', '.join(map(words.language, user.languages))}" if user.languages else "")


def _plain(label: str) -> str:
    return isolated(label).plain


def _places(report: ReportData, table: str, page: str | None) -> Table:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim")
    shown.add_column(overflow="fold")
    shown.add_row("run", Text(f"{report.header.run_id}, {report.header.status}"))
    shown.add_row("table", Text(table))
    if page is not None:
        shown.add_row("report", Text(page))
    return shown


def _steps(steps: Sequence[tuple[str, str]]) -> Table:
    shown = Table.grid(padding=(0, 2))
    shown.title, shown.title_justify, shown.title_style = "\nTry next", "left", "bold"
    shown.add_column(style="dim")
    shown.add_column(overflow="fold")
    for what, command in steps:
        shown.add_row(Text(what), Text(command))
    return shown
