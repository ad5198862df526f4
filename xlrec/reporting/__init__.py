"""What a person sees of a run: one self-contained HTML page, and lists and figures on the terminal.

`data` says what is shown, `html` makes the page, `charts` its drawings, `console` the terminal's part.
"""

from xlrec.reporting.data import ReportData
from xlrec.reporting.html import render

__all__ = ["ReportData", "render"]
