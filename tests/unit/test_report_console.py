"""The terminal's part of a report: lists, headline metrics, paths, reasons."""

import io
import re

from rich.console import Console
from worlds.report import bare, report

from xlrec.reporting.console import isolated_text, metrics_table, print_explanation, print_run


def printed(width: int = 110) -> Console:
    return Console(file=io.StringIO(), width=width)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_shows_lists_two_baselines_paths_and_next_steps() -> None:
    console = printed()
    print_run(report(), table="lake/recommendations", page="lake/report.html", console=console)
    shown = said(console)
    for expected in (
        "Gooseneck kettle",
        "goes with “",
        "ItemKNN",
        "Most popular",
        "lake/report.html",
        "xlrec explain",
    ):
        assert expected in shown
    assert "ALS" not in shown


def test_a_narrow_terminal_cuts_no_figure() -> None:
    console = printed(80)
    console.print(metrics_table(report().metrics))
    assert "…" not in said(console)
    assert re.search(r"\d\.\d{3}–\d\.\d{3}", said(console))


def test_the_terminal_shows_a_run_without_metrics_and_samples() -> None:
    console = printed()
    print_run(bare(), table="t", page="p", console=console)
    assert "xlrec evaluate --config conf/demo.yaml" in said(console)


def test_an_explanation_shows_the_history_and_the_sources() -> None:
    console = printed()
    print_explanation(report().samples[0], console)
    assert "Pour-over coffee dripper" in said(console)
    assert "and 9 older items" in said(console)
    assert "sources: similar 2, covisited 1, popular 1, fallback 1" in said(console)


def test_a_title_cannot_command_the_terminal_nor_be_read_as_markup() -> None:
    assert isolated_text("\x1b[31mred\x07 \u202eback\n[bold]x[/bold]").plain == "[31mred back[bold]x[/bold]"
    assert isolated_text("שלום").plain == "\u2068שלום\u2069"
