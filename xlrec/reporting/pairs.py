"""Similarity matrix of a few texts as a table for the terminal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Column, Table
from rich.text import Text

from xlrec.reporting import words
from xlrec.reporting.console import isolated_text, plain_table


def matrix_table(texts: Sequence[str], languages: Sequence[str], scores: NDArray[np.floating[Any]]) -> Table:
    """The texts with their languages and scores; each row's most similar other text is bold.

    Args:
        texts: n texts.
        languages: Tag of each.
        scores: (n, n) float64 cosines; NaN, the score of an empty text, becomes a dash.
    """
    numbers = [Column(str(num), justify="right", no_wrap=True) for num in range(1, len(texts) + 1)]
    table = plain_table(
        Column("", justify="right", style="dim"),
        Column("text", overflow="fold"),
        Column("lang", style="cyan"),
        *numbers,
    )
    for num, (text, language, row) in enumerate(zip(texts, languages, scores, strict=True)):
        others = [(score, -place) for place, score in enumerate(row) if place != num and np.isfinite(score)]
        best = -max(others)[1] if others else None
        cells = [
            Text(f"{score:.2f}" if np.isfinite(score) else "–", style=_style(place, num, best))
            for place, score in enumerate(row)
        ]
        table.add_row(str(num + 1), isolated_text(text), Text(words.language_name(language)), *cells)
    return table


def _style(place: int, row: int, best: int | None) -> str:
    return "dim" if place == row else "bold green" if place == best else ""
