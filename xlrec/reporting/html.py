"""The report as one HTML page: autoescaped, with nothing to load and nothing to run."""

import os
import tempfile
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xlrec.reporting import charts, views, words
from xlrec.reporting.data import OURS, ReportData


def render(report: ReportData) -> str:
    """The whole page. Equal data gives an equal page: no clock, no randomness."""
    page = environment().get_template("page.html")
    return page.render(
        r=report,
        w=words,
        ours=OURS,
        figures=views.MetricsView(report.metrics) if report.metrics and report.metrics.rows else None,
        list_charts=views.lists_charts(report.lists) if report.lists else [],
        part=lambda value, whole: Markup(charts.part(value, whole)),  # noqa: S704 charts escape what they draw
        meter=lambda bar: Markup(charts.meter(bar.value, bar.least, bar.most)),  # noqa: S704
        svg=lambda drawn: Markup(drawn),  # noqa: S704
    )


def write(report: ReportData, path: str | Path) -> Path:
    """Writes the page, whole or not at all: readers of an older page never see half of the new one.

    Raises:
        OSError: the folder cannot be written.
    """
    return write_page(render(report), path)


def write_page(page: str, path: str | Path) -> Path:
    """Writes a page that is rendered, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def environment() -> Environment:
    """Templates of this package, autoescaped."""
    return Environment(
        loader=PackageLoader("xlrec.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
