"""Lines over a few steps as an SVG string: values with whiskers, and level lines of what does not hang on the step."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import isfinite
from typing import Final

from xlrec.reporting import words
from xlrec.reporting.charts import EMPTY, Mark
from xlrec.reporting.svg import WIDTH, Scale, frame, line, text

_LEFT: Final = 40.0
_RIGHT: Final = 14.0
_TOP: Final = 10.0
_HEIGHT: Final = 200.0
#: Series of one step stand this far apart, so that whiskers do not hide one another.
_APART: Final = 7.0


@dataclass(frozen=True)
class Curve:
    """A mark per step; None where there is none."""

    name: str
    marks: tuple[Mark | None, ...]


@dataclass(frozen=True)
class Level:
    """A value that is the same at every step."""

    name: str
    value: float


def curves(rows: Sequence[Curve], levels: Sequence[Level], steps: Sequence[str], title: str) -> str:
    """Lines from step to step on an axis that holds 0; levels are dashed, with their names on them."""
    marks = [mark for row in rows for mark in row.marks if mark is not None and isfinite(mark.value)]
    if not marks:
        return EMPTY
    ends = [end for mark in marks for end in (mark.value, mark.low, mark.high) if end is not None]
    scale = Scale([*ends, *(level.value for level in levels)], _TOP + _HEIGHT, _TOP)
    places = [_LEFT + 14 + (WIDTH - _LEFT - _RIGHT - 28) * i / max(1, len(steps) - 1) for i in range(len(steps))]
    parts = []
    for tick in scale.ticks:
        parts.append(line(_LEFT, scale(tick), WIDTH - _RIGHT, scale(tick), "grid"))
        parts.append(text(_LEFT - 6, scale(tick) + 3.5, scale.label(tick), "note"))
    for place, step in zip(places, steps, strict=True):
        parts.append(text(place, _TOP + _HEIGHT + 16, step, "tick"))
    parts += [line(_LEFT, scale(one.value), WIDTH - _RIGHT, scale(one.value), "level") for one in levels]
    for number, row in reversed(list(enumerate(rows))):
        parts += _curve(row, [place + _APART * (number - (len(rows) - 1) / 2) for place in places], scale, number)
    named = zip(levels, _label_places([scale(level.value) for level in levels]), strict=True)
    parts += [text(WIDTH - _RIGHT, y, level.name, "note halo") for level, y in named]
    return frame(title, _TOP + _HEIGHT + 22, parts)


def _label_places(ys: list[float]) -> list[float]:
    """Just above each level; higher where another level's name stands there."""
    taken: list[float] = []
    for y in ys:
        place = y - 4
        while any(abs(place - other) < 11 for other in taken):
            place -= 11
        taken.append(place)
    return taken


def _curve(row: Curve, places: Sequence[float], scale: Scale, number: int) -> list[str]:
    parts: list[str] = []
    known = [(x, mark) for x, mark in zip(places, row.marks, strict=True) if mark and isfinite(mark.value)]
    for (x1, one), (x2, other) in pairwise(known):
        parts.append(line(x1, scale(one.value), x2, scale(other.value), f"whisker thin s{number}"))
    for x, mark in known:
        said = f"{row.name}: {words.score(mark.value)}"
        if mark.low is not None and mark.high is not None and isfinite(mark.low) and isfinite(mark.high):
            parts.append(line(x, scale(mark.low), x, scale(mark.high), f"whisker s{number}"))
            said += f", {words.score(mark.low)} to {words.score(mark.high)}"
        tip, y = f"<title>{escape(said)}</title>", scale(mark.value)
        if number == 0:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="s0">{tip}</circle>')
        else:
            corners = f"M{x:.1f} {y - 4.5:.1f} {x + 4.5:.1f} {y:.1f} {x:.1f} {y + 4.5:.1f} {x - 4.5:.1f} {y:.1f}Z"
            parts.append(f'<path d="{corners}" class="hollow s{number}">{tip}</path>')
    return parts
