"""Charts as SVG strings: plain data in, escaped mark-up out. Colours are CSS classes, so dark mode needs no second one.

Series differ in shape or place as well as in colour. Values that are not finite are a dash, never a mark; a chart
without rows is a sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Final

from xlrec.reporting import words
from xlrec.reporting.svg import WIDTH, Scale, shorten_label, svg_frame, svg_line, svg_rect, svg_text

EMPTY: Final = '<p class="empty">There is nothing to draw here.</p>'
_LABELS: Final = 94.0  # width of the labels on the left
_LABEL_CHARS: Final = 15
_VALUES: Final = 42.0  # width of the values on the right


@dataclass(frozen=True)
class Mark:
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


@dataclass(frozen=True)
class DotRow:
    """A row of a dot chart; the first mark's value is written beside it."""

    label: str
    marks: tuple[Mark, ...]
    note: str = ""


def dot_chart(rows: Sequence[DotRow], title: str, *, difference: bool = False) -> str:
    """Dots with whiskers, a row each, on an axis that holds 0; differences have a sign and a line at 0."""
    if not rows:
        return EMPTY
    scale = Scale(mark_ends([mark for row in rows for mark in row.marks]), _LABELS + 8, WIDTH - _VALUES - 8)
    height, top = (34.0 if any(row.note for row in rows) else 26.0), 4.0
    bottom = top + height * len(rows)
    parts = []
    for tick in scale.ticks:
        parts.append(svg_line(scale(tick), top, scale(tick), bottom, "grid"))
        parts.append(svg_text(scale(tick), bottom + 15, scale.label(tick), "tick"))
    if scale.low < 0:
        parts.append(svg_line(scale(0), top, scale(0), bottom, "zero"))
    for i, row in enumerate(rows):
        middle = top + height * (i + 0.5)
        parts.append(_label(row.label, middle, row.note))
        for j, mark in enumerate(row.marks):
            apart = 8.0 * (j - 0.5) if len(row.marks) > 1 else 0.0
            parts.append(draw_mark(mark, scale, middle + apart, mark.series, row.label))
        value = row.marks[0].value if row.marks else None
        parts.append(
            svg_text(
                WIDTH - 2, middle + 4, words.format_signed(value) if difference else words.format_score(value), "value"
            )
        )
    return svg_frame(title, bottom + 22, parts)


def grouped_bars(rows: Mapping[str, Sequence[float]], names: Sequence[str], title: str) -> str:
    """Bars of shares by label, one per series; each has its value beside it."""
    if not rows:
        return EMPTY
    thick, gap = 10.0, 10.0
    group = thick * len(names) + gap
    scale = Scale([value for values in rows.values() for value in values], _LABELS + 8, WIDTH - _VALUES)
    parts = []
    for i, (label, values) in enumerate(rows.items()):
        top = group * i + gap / 2
        parts.append(_label(label, top + thick * len(names) / 2))
        for j, (name, value) in enumerate(zip(names, values, strict=True)):
            y = top + thick * j
            end = scale(value) if isfinite(value) else scale(0)
            if isfinite(value) and value > 0:
                tip = f"{label}, {name}: {words.format_share(value)}"
                parts.append(svg_rect(scale(0), y + 1, end - scale(0), thick - 2, f"s{j}", tip))
            parts.append(svg_text(end + 5, y + thick - 1.5, words.format_share(value), "small"))
    return svg_frame(title, group * len(rows) + 2, parts)


def stacked_bars(rows: Mapping[str, Sequence[float]], names: Sequence[str], title: str) -> str:
    """A bar by label, cut into the shares of its series in the order of the names; wide pieces carry their share."""
    if not rows:
        return EMPTY
    height, left, right = 26.0, _LABELS + 8, WIDTH - 2
    parts = []
    for i, (label, values) in enumerate(rows.items()):
        middle, x = height * (i + 0.5), left
        parts.append(_label(label, middle))
        positive = [value if isfinite(value) and value > 0 else 0.0 for value in values]
        whole = sum(positive)
        if not whole:
            parts.append(svg_text(left, middle + 4, words.NOTHING, "small"))
            continue
        for j, (name, value) in enumerate(zip(names, positive, strict=True)):
            share, width = value / whole, (right - left) * value / whole
            if value:
                tip = f"{label}, {name}: {words.format_share(share)}"
                parts.append(svg_rect(x, height * i + 4, width - 1, height - 8, f"s{j}", tip))
            if width > 34:
                parts.append(svg_text(x + width / 2, middle + 3.5, f"{100 * share:.0f}\u00a0%", f"on{j}"))
            x += width
    return svg_frame(title, height * len(rows), parts)


def bar_meter(value: float, least: float | None, most: float | None) -> str:
    """A share on a track from 0 to 1, with a tick at its bar; empty where value or bar are no shares."""
    limit = least if least is not None else most
    if limit is None or not 0 < limit <= 1 or not isfinite(value):
        return ""
    inside = min(max(value, 0.0), 1.0)
    bar = f"at least {words.format_share(limit)}" if least is not None else f"at most {words.format_share(limit)}"
    parts = [
        svg_rect(0, 4, 120, 6, "track"),
        svg_rect(0, 4, 120 * inside, 6, "s0") if inside else "",
        svg_line(max(1.0, 120 * limit - 1), 0, max(1.0, 120 * limit - 1), 14, "limit"),
    ]
    return svg_frame(f"{words.format_share(value)}, allowed is {bar}", 14, parts, "meter", 120)


def share_bar(value: float | None, whole: float) -> str:
    """A thin bar for one number's share of a whole."""
    if value is None or not isfinite(value) or whole <= 0:
        return ""
    return svg_frame(
        words.format_share(value / whole), 6, [svg_rect(0, 0, 100 * min(value / whole, 1), 6, "s0")], "part", 100
    )


def chart_legend(names: Sequence[str], *, dots: bool = False) -> str:
    """The series' names with their shapes and colours, in order."""
    square = '<rect x="2" y="2" width="10" height="10" rx="1.5" class="s{0}"/>'
    circle = '<circle cx="7" cy="7" r="4" class="s{0}"/>'
    diamond = '<path d="M7 2.5 11.5 7 7 11.5 2.5 7Z" class="hollow s{0}"/>'
    items = []
    for i, name in enumerate(names):
        shape = (circle if i == 0 else diamond) if dots else square
        key = f'<svg class="key" viewBox="0 0 14 14" aria-hidden="true">{shape.format(i)}</svg>'
        items.append(f"<li>{key}{escape(name)}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


def mark_ends(marks: Sequence[Mark]) -> list[float]:
    """Values and interval ends of the marks, for the extent of a scale."""
    return [end for mark in marks for end in (mark.value, mark.low, mark.high) if end is not None]


def draw_mark(mark: Mark, scale: Scale, place: float, series: int, label: str, *, upright: bool = False) -> str:
    """A whisker and a dot, a diamond for series above 0; empty where the value is not finite.

    Args:
        mark: Value and interval.
        scale: Of the value: along x, along y where upright.
        place: The other coordinate.
        series: Number of the series' colour and shape.
        label: Begins the tip.
        upright: The whisker is vertical.
    """
    if not isfinite(mark.value):
        return ""
    x, y = (place, scale(mark.value)) if upright else (scale(mark.value), place)
    tip, whisker = f"{label}: {words.format_score(mark.value)}", ""
    if mark.interval:
        low, high = map(scale, mark.interval)
        whisker = (
            svg_line(x, low, x, high, f"whisker s{series}")
            if upright
            else svg_line(low, y, high, y, f"whisker s{series}")
        )
        tip += ", " + " to ".join(map(words.format_score, mark.interval))
    inside = f"<title>{escape(tip)}</title>"
    if series == 0:
        return f'{whisker}<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="s0">{inside}</circle>'
    corners = f"M{x:.1f} {y - 4.5:.1f} {x + 4.5:.1f} {y:.1f} {x:.1f} {y + 4.5:.1f} {x - 4.5:.1f} {y:.1f}Z"
    return f'{whisker}<path d="{corners}" class="hollow s{series}">{inside}</path>'


def _label(label: str, middle: float, note: str = "") -> str:
    drawn = svg_text(_LABELS, middle + (-1 if note else 4), shorten_label(label, _LABEL_CHARS), "label", label)
    return drawn + (svg_text(_LABELS, middle + 12, note, "note") if note else "")
