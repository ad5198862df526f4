"""Charts as SVG strings: plain data in, escaped mark-up out. Colours are CSS classes, so dark mode needs no second one.

A series is told by its shape or place as well as by its colour. Values that are not finite are a dash, never a mark;
nothing to draw gives a sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Final

from xlrec.reporting import words
from xlrec.reporting.svg import WIDTH, Scale, frame, line, rect, short, text

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


@dataclass(frozen=True)
class DotRow:
    """A row of a dot chart; the first mark's value is written beside it."""

    label: str
    marks: tuple[Mark, ...]
    note: str = ""


@dataclass(frozen=True)
class BarRow:
    """A row of a bar chart: one value per series."""

    label: str
    values: tuple[float, ...]


def dots(rows: Sequence[DotRow], title: str, *, difference: bool = False) -> str:
    """Dots with whiskers, a row each, on an axis that holds 0; differences have a sign and a line at 0."""
    if not rows:
        return EMPTY
    ends = [end for row in rows for mark in row.marks for end in (mark.value, mark.low, mark.high) if end is not None]
    scale = Scale(ends, _LABELS + 8, WIDTH - _VALUES - 8)
    height, top = (34.0 if any(row.note for row in rows) else 26.0), 4.0
    bottom = top + height * len(rows)
    parts = _axis(scale, top, bottom)
    if scale.low < 0:
        parts.append(line(scale(0), top, scale(0), bottom, "zero"))
    for i, row in enumerate(rows):
        middle = top + height * (i + 0.5)
        parts.append(_label(row.label, middle, row.note))
        several = len(row.marks) > 1
        for j, mark in enumerate(row.marks):
            parts.append(_mark(scale, mark, middle + (8.0 * (j - 0.5) if several else 0.0), row.label))
        value = row.marks[0].value if row.marks else float("nan")
        shown = words.signed(value) if difference else words.score(value)
        parts.append(text(WIDTH - 2, middle + 4, shown, "value"))
    return frame(title, bottom + 22, parts)


def grouped_bars(rows: Sequence[BarRow], names: Sequence[str], title: str) -> str:
    """Bars of shares, one per series, grouped by row; each has its value beside it."""
    if not rows:
        return EMPTY
    thick, gap = 10.0, 10.0
    group = thick * len(names) + gap
    scale = Scale([value for row in rows for value in row.values], _LABELS + 8, WIDTH - _VALUES)
    parts = []
    for i, row in enumerate(rows):
        top = group * i + gap / 2
        parts.append(_label(row.label, top + thick * len(names) / 2))
        for j, (name, value) in enumerate(zip(names, row.values, strict=True)):
            y = top + thick * j
            end = scale(value) if isfinite(value) else scale(0)
            tip = f"{row.label}, {name}: {words.share(value)}"
            if isfinite(value) and value > 0:
                parts.append(rect(scale(0), y + 1, end - scale(0), thick - 2, f"s{j}", tip))
            parts.append(text(end + 5, y + thick - 1.5, words.share(value), "small"))
    return frame(title, group * len(rows) + 2, parts)


def stacked_bars(rows: Sequence[BarRow], names: Sequence[str], title: str) -> str:
    """A bar per row, cut into the shares of its series in the order of the names; wide pieces say theirs."""
    if not rows:
        return EMPTY
    height, left, right = 26.0, _LABELS + 8, WIDTH - 2
    parts = []
    for i, row in enumerate(rows):
        parts.append(_label(row.label, height * (i + 0.5)))
        values = [value if isfinite(value) and value > 0 else 0.0 for value in row.values]
        whole, x = sum(values), left
        if not whole:
            parts.append(text(left, height * (i + 0.5) + 4, words.NOTHING, "small"))
            continue
        for j, (name, value) in enumerate(zip(names, values, strict=True)):
            width = (right - left) * value / whole
            if value:
                tip = f"{row.label}, {name}: {words.share(value / whole)}"
                parts.append(rect(x, height * i + 4, width - 1, height - 8, f"s{j}", tip))
            if width > 34:
                parts.append(
                    text(x + width / 2, height * (i + 0.5) + 3.5, f"{100 * value / whole:.0f}\u00a0%", f"on{j}")
                )
            x += width
    return frame(title, height * len(rows), parts)


def meter(value: float, least: float | None, most: float | None) -> str:
    """A share on a track from 0 to 1, with a tick at its bar; empty where value or bar are no shares."""
    limit = least if least is not None else most
    if limit is None or not 0 < limit <= 1 or not isfinite(value):
        return ""
    inside = min(max(value, 0.0), 1.0)
    bar = f"at least {words.share(limit)}" if least is not None else f"at most {words.share(limit)}"
    parts = [
        rect(0, 4, 120, 6, "track"),
        rect(0, 4, 120 * inside, 6, "s0") if inside else "",
        line(max(1.0, 120 * limit - 1), 0, max(1.0, 120 * limit - 1), 14, "limit"),
    ]
    return frame(f"{words.share(value)}, allowed is {bar}", 14, parts, "meter", 120)


def part(value: float | None, whole: float) -> str:
    """A thin bar for one number's share of a whole."""
    if value is None or not isfinite(value) or whole <= 0:
        return ""
    return frame(words.share(value / whole), 6, [rect(0, 0, 100 * min(value / whole, 1), 6, "s0")], "part", 100)


def legend(names: Sequence[str], *, dots: bool = False) -> str:
    """The series' names with their shapes and colours, in order."""
    shape = '<circle cx="7" cy="7" r="4" class="s{0}"/>', '<path d="M7 2.5 11.5 7 7 11.5 2.5 7Z" class="hollow s{0}"/>'
    items = []
    for i, name in enumerate(names):
        drawn = (
            shape[min(i, 1)].format(i) if dots else f'<rect x="2" y="2" width="10" height="10" rx="1.5" class="s{i}"/>'
        )
        items.append(f'<li><svg class="key" viewBox="0 0 14 14" aria-hidden="true">{drawn}</svg>{escape(name)}</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _axis(scale: Scale, top: float, bottom: float) -> list[str]:
    parts = []
    for tick in scale.ticks:
        parts.append(line(scale(tick), top, scale(tick), bottom, "grid"))
        parts.append(text(scale(tick), bottom + 15, scale.label(tick), "tick"))
    return parts


def _label(label: str, middle: float, note: str = "") -> str:
    shown = text(_LABELS, middle + (-1 if note else 4), short(label, _LABEL_CHARS), "label", label)
    return shown + (text(_LABELS, middle + 12, note, "note") if note else "")


def _mark(scale: Scale, mark: Mark, y: float, label: str) -> str:
    if not isfinite(mark.value):
        return ""
    kind, x = f"s{mark.series}", scale(mark.value)
    said, whisker = f"{label}: {words.score(mark.value)}", ""
    if mark.low is not None and mark.high is not None and isfinite(mark.low) and isfinite(mark.high):
        whisker = line(scale(mark.low), y, scale(mark.high), y, f"whisker {kind}")
        said += f", {words.score(mark.low)} to {words.score(mark.high)}"
    tip = f"<title>{escape(said)}</title>"
    if mark.series == 0:
        return f'{whisker}<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{kind}">{tip}</circle>'
    corners = f"M{x:.1f} {y - 4.5:.1f} {x + 4.5:.1f} {y:.1f} {x:.1f} {y + 4.5:.1f} {x - 4.5:.1f} {y:.1f}Z"
    return f'{whisker}<path d="{corners}" class="hollow {kind}">{tip}</path>'
