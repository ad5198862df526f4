"""SVG pieces of all charts: escaped text, lines, rectangles, scales, the frame."""

from collections.abc import Iterable
from html import escape
from math import ceil, floor, isfinite, log10
from typing import Final

#: Width of every chart in its own units, about one CSS pixel each: a phone shows it without shrinking the text.
WIDTH: Final = 360.0
#: Extents of this share of the numbers, or smaller, are none: ticks would have equal labels.
_NO_EXTENT: Final = 1e-12


class Scale:
    """Maps values to x between two ends, with round ticks. A range without extent gets one."""

    def __init__(self, values: Iterable[float], left: float, right: float, *, zero: bool = True) -> None:
        finite = [value for value in values if isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if high - low <= _NO_EXTENT * max(abs(low), abs(high), 1.0):
            high = low + (abs(low) if abs(low) > _NO_EXTENT else 1.0)
        self.step = _step(high - low)
        self.low, self.high = floor(low / self.step + 1e-9) * self.step, ceil(high / self.step - 1e-9) * self.step
        self.left, self.right = left, right

    def __call__(self, value: float) -> float:
        """The x of a value."""
        return self.left + (self.right - self.left) * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round values from end to end."""
        n = round((self.high - self.low) / self.step)
        return [self.low + i * self.step for i in range(n + 1)]

    def label(self, value: float) -> str:
        """A tick's label, with as many digits as the step needs."""
        digits = max(0, -floor(log10(self.step) + 1e-9))
        return f"{0.0 if abs(value) < self.step / 1e6 else value:.{digits}f}".replace("-", "\u2212")


def svg_text(x: float, y: float, content: str, kind: str, tip: str = "") -> str:
    """Escaped text of a CSS class; `tip` is the whole text where it was cut."""
    inside = f"<title>{escape(tip)}</title>{escape(content)}" if tip and tip != content else escape(content)
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{inside}</text>'


def svg_line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A line of a CSS class."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def svg_rect(x: float, y: float, width: float, height: float, kind: str, tip: str = "") -> str:
    """A rectangle of a CSS class, at least 0.6 wide, so that a small share stays visible."""
    inside = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.6):.1f}" height="{height:.1f}" rx="1.5" '
        f'class="{kind}">{inside}</rect>'
    )


def svg_frame(title: str, height: float, parts: Iterable[str], kind: str = "chart", width: float = WIDTH) -> str:
    """The whole drawing, with its title for screen readers."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def shorten_label(label: str, most: int) -> str:
    """The label, cut with an ellipsis where it is longer than `most` characters."""
    return label if len(label) <= most else f"{label[: most - 1].rstrip()}…"


def _step(extent: float) -> float:
    """The round step (1, 2 or 5 times a power of ten) that cuts an extent into at most 5."""
    rough = extent / 5
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
