"""What the terminal shows of a few texts and how similar they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from xlrec.reporting import words
from xlrec.reporting.console import isolated


def matrix_table(texts: Sequence[str], languages: Sequence[str], scores: NDArray[np.floating[Any]]) -> Table:
    """The texts with their languages and the (n, n) matrix of scores; each row's best other text is bold.

    NaN, the score of an empty text, is a dash.
    """
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("", justify="right", style="dim")
    shown.add_column("text", overflow="fold")
    shown.add_column("lang", style="cyan")
    for num in range(1, len(texts) + 1):
        shown.add_column(str(num), justify="right", no_wrap=True)
    for num, (text, language, row) in enumerate(zip(texts, languages, scores, strict=True)):
        others = [(score, -place) for place, score in enumerate(row) if place != num and np.isfinite(score)]
        best = -max(others)[1] if others else None
        cells = [
            Text(f"{score:.2f}" if np.isfinite(score) else "–", style=_style(place, num, best))
            for place, score in enumerate(row)
        ]
        shown.add_row(str(num + 1), isolated(text), Text(words.language(language)), *cells)
    return shown


def _style(place: int, row: int, best: int | None) -> str:
    return "dim" if place == row else "bold green" if place == best else ""
