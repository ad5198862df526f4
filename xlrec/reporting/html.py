"""The report as one HTML page: autoescaped, without scripts or anything to load."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xlrec.reporting import charts, views, words
from xlrec.reporting.data import OURS, ReportData


def render_report(report: ReportData) -> str:
    """The whole page. Equal data gives an equal page: no clock, no randomness."""
    page = page_environment().get_template("page.html")
    return page.render(
        r=report,
        w=words,
        ours=OURS,
        figures=views.MetricsView(report.metrics) if report.metrics and report.metrics.rows else None,
        list_charts=views.lists_charts(report.lists) if report.lists else [],
        part=lambda value, whole: Markup(charts.share_bar(value, whole)),  # noqa: S704 charts escape what they draw
        meter=lambda bar: Markup(charts.bar_meter(bar.value, bar.least, bar.most)),  # noqa: S704
        svg=lambda drawn: Markup(drawn),  # noqa: S704
    )


def page_environment() -> Environment:
    """Templates of this package, autoescaped."""
    return Environment(
        loader=PackageLoader("xlrec.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
