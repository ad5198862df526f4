"""Charts as SVG of the template charts.html: plain data in, escaped mark-up out, colours as CSS classes.

Series differ in shape or place as well as in colour. Values that are not finite are a dash, never a mark; a chart
without rows is a sentence.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import ceil, floor, isfinite, log10
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xlrec.reporting import words

EMPTY: Final = Markup('<p class="empty">There is nothing to draw here.</p>')
#: Left and right ends of the scale of a row, between its label and its value. A chart is 360 wide, about as many CSS
#: pixels, so that a phone shows it without shrinking the text.
_ROW: Final = (102.0, 310.0)
_NO_EXTENT: Final = 1e-12  # extents of this share of the numbers, or smaller, are none: ticks would have equal labels


class Mark(NamedTuple):
    """A value and its interval, of the series with this number (0 is the one that matters)."""

    value: float
    low: float | None = None
    high: float | None = None
    series: int = 0

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends; None where one is missing or not finite."""
        low, high = self.low, self.high
        return None if low is None or high is None or not (isfinite(low) and isfinite(high)) else (low, high)


class DotRow(NamedTuple):
    """A row of a dot chart; the first mark's value is written beside it."""

    label: str
    marks: tuple[Mark, ...]
    note: str = ""


class Scale:
    """Maps values and 0 to coordinates between two ends, with round ticks. A range without extent gets one."""

    def __init__(self, values: Iterable[float | None], left: float, right: float) -> None:
        finite = [value for value in values if value is not None and isfinite(value)]
        low, high = (min(0.0, *finite), max(0.0, *finite)) if finite else (0.0, 1.0)
        if high - low <= _NO_EXTENT * max(abs(low), abs(high), 1.0):
            high = low + (abs(low) if abs(low) > _NO_EXTENT else 1.0)
        rough = (high - low) / 5
        steps = (factor * 10.0 ** floor(log10(rough)) for factor in (1, 2, 5, 10))
        self.step = next(step for step in steps if step >= rough * (1 - 1e-9))
        self.low, self.high = floor(low / self.step + 1e-9) * self.step, ceil(high / self.step - 1e-9) * self.step
        self.left, self.right = left, right

    def __call__(self, value: float) -> float:
        """The coordinate of a value."""
        return self.left + (self.right - self.left) * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round values from end to end."""
        return [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]

    def label(self, value: float) -> str:
        """A tick's label, with as many digits as the step needs."""
        digits = max(0, -floor(log10(self.step) + 1e-9))
        return f"{0.0 if abs(value) < self.step / 1e6 else value:.{digits}f}".replace("-", "\u2212")


@cache
def page_environment() -> Environment:
    """Templates of this package, autoescaped."""
    environment = Environment(
        loader=PackageLoader("xlrec.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"w": words, "isfinite": isfinite, "part": share_bar, "meter": bar_meter}
    return environment


def dot_chart(rows: Sequence[DotRow], title: str, *, difference: bool = False) -> Markup:
    """Dots with whiskers, a row each, on an axis that holds 0; differences have a sign and a line at 0."""
    scale = Scale((end for row in rows for mark in row.marks for end in mark[:3]), *_ROW)
    return _draw("dots", rows, scale, title, difference)


def grouped_bars(rows: Mapping[str, Sequence[float]], names: Sequence[str], title: str) -> Markup:
    """Bars of shares by label, one per series; each has its value beside it."""
    scale = Scale((value for values in rows.values() for value in values), _ROW[0], _ROW[1] + 8)
    return _draw("groups", rows, scale, title, names)


def stacked_bars(rows: Mapping[str, Sequence[float]], names: Sequence[str], title: str) -> Markup:
    """A bar by label, cut into the shares of its series in the order of the names; wide pieces carry their share."""
    positive = {label: [v if isfinite(v) and v > 0 else 0.0 for v in values] for label, values in rows.items()}
    return _draw("stacks", positive, title, names)


def line_chart(
    rows: Mapping[str, Sequence[Mark | None]], levels: Mapping[str, float], steps: Sequence[str], title: str
) -> Markup:
    """Lines from step to step by name, on an axis that holds 0; dashed levels, equal at every step, with their names.

    A row has a mark per step, None where there is none.
    """
    places = {step: 54 + 278 * i / max(1, len(steps) - 1) for i, step in enumerate(steps)}
    known = []
    for series, (name, row) in enumerate(rows.items()):
        apart = 7 * (series - (len(rows) - 1) / 2)  # whiskers of one step do not hide one another
        marks = zip(places.values(), row, strict=True)
        known.append((name, [(place + apart, mark) for place, mark in marks if mark and isfinite(mark.value)]))
    ends = [end for _, marks in known for _, mark in marks for end in mark[:3]]
    scale, named = Scale([*ends, *levels.values()], 210.0, 10.0), list[tuple[str, float, float]]()
    for name, value in levels.items():
        y = scale(value) - 4
        while any(abs(y - other) < 11 for *_, other in named):  # above the name of another level
            y -= 11
        named.append((name, value, y))
    return _draw("curve", known if ends else [], scale, title, places, named)


def bar_meter(value: float, least: float | None, most: float | None) -> Markup:
    """A share on a track from 0 to 1, with a tick at its bar; empty where value or bar are no shares."""
    limit = least if least is not None else most
    if limit is None or not 0 < limit <= 1 or not isfinite(value):
        return Markup()
    bar = f"at {'most' if least is None else 'least'} {words.format_share(limit)}"
    return _draw("meter", value, limit, f"{words.format_share(value)}, allowed is {bar}")


def share_bar(value: float | None, whole: float) -> Markup:
    """A thin bar for one number's share of a whole."""
    return Markup() if value is None or not isfinite(value) or whole <= 0 else _draw("share", value / whole)


def chart_legend(names: Sequence[str], *, dots: bool = False) -> Markup:
    """The series' names with their shapes and colours, in order."""
    return _draw("legend", names, dots)


def _draw(kind: str, rows: Any, *more: Any) -> Markup:
    macro = getattr(page_environment().get_template("charts.html").module, kind)
    return EMPTY if rows in ([], {}) else Markup(macro(rows, *more))  # noqa: S704  # the template escapes
