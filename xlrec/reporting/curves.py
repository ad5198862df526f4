"""Lines over a few steps as an SVG string: values with whiskers, and dashed levels that are the same at every step."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Final

from xlrec.reporting.charts import EMPTY, Mark, draw_mark, mark_ends
from xlrec.reporting.svg import WIDTH, Scale, svg_frame, svg_line, svg_text

_LEFT: Final = 40.0
_RIGHT: Final = 14.0
_TOP: Final = 10.0
_HEIGHT: Final = 200.0
#: Distance between the series of one step, so that whiskers do not hide one another.
_APART: Final = 7.0


def line_chart(
    rows: Mapping[str, Sequence[Mark | None]], levels: Mapping[str, float], steps: Sequence[str], title: str
) -> str:
    """Lines from step to step on an axis that holds 0; levels are dashed, with their names on them.

    Args:
        rows: By name, a mark per step; None where there is none.
        levels: By name, values that are the same at every step.
        steps: Labels of the steps.
        title: Of the drawing.
    """
    marks = [mark for row in rows.values() for mark in row if mark is not None and isfinite(mark.value)]
    if not marks:
        return EMPTY
    scale = Scale([*mark_ends(marks), *levels.values()], _TOP + _HEIGHT, _TOP)
    places = [_LEFT + 14 + (WIDTH - _LEFT - _RIGHT - 28) * i / max(1, len(steps) - 1) for i in range(len(steps))]
    parts = []
    for tick in scale.ticks:
        parts.append(svg_line(_LEFT, scale(tick), WIDTH - _RIGHT, scale(tick), "grid"))
        parts.append(svg_text(_LEFT - 6, scale(tick) + 3.5, scale.label(tick), "note"))
    for place, step in zip(places, steps, strict=True):
        parts.append(svg_text(place, _TOP + _HEIGHT + 16, step, "tick"))
    heights = [scale(value) for value in levels.values()]
    parts += [svg_line(_LEFT, height, WIDTH - _RIGHT, height, "level") for height in heights]
    for series, (name, row) in reversed(list(enumerate(rows.items()))):
        shifted = [place + _APART * (series - (len(rows) - 1) / 2) for place in places]
        known = [(x, mark) for x, mark in zip(shifted, row, strict=True) if mark and isfinite(mark.value)]
        for (x1, left), (x2, right) in pairwise(known):
            parts.append(svg_line(x1, scale(left.value), x2, scale(right.value), f"whisker thin s{series}"))
        parts += [draw_mark(mark, scale, x, series, name, upright=True) for x, mark in known]
    named = zip(levels, _label_places(heights), strict=True)
    parts += [svg_text(WIDTH - _RIGHT, y, name, "note halo") for name, y in named]
    return svg_frame(title, _TOP + _HEIGHT + 22, parts)


def _label_places(ys: list[float]) -> list[float]:
    """Heights just above each level, higher where another level's name is there."""
    used: list[float] = []
    for y in ys:
        place = y - 4
        while any(abs(place - other) < 11 for other in used):
            place -= 11
        used.append(place)
    return used
