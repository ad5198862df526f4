"""The report as one HTML page: autoescaped, without scripts or anything to load."""

from xlrec.reporting import views
from xlrec.reporting.charts import page_environment
from xlrec.reporting.data import OURS, ReportData


def render_report(report: ReportData) -> str:
    """The whole page. Equal data gives an equal page: no clock, no randomness."""
    return (
        page_environment()
        .get_template("page.html")
        .render(
            r=report,
            ours=OURS,
            figures=views.MetricsView(report.metrics) if report.metrics and report.metrics.rows else None,
            list_charts=views.lists_charts(report.lists) if report.lists else [],
        )
    )
