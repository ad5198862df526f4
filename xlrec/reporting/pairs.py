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
    """The n texts with their languages and (n, n) cosines; each row's most similar other text is bold, NaN a dash."""
    numbers = [Column(str(num), justify="right", no_wrap=True) for num in range(1, len(texts) + 1)]
    text_columns = Column("text", overflow="fold"), Column("lang", style="cyan")
    table = plain_table(Column("", justify="right", style="dim"), *text_columns, *numbers)
    for num, (text, language, row) in enumerate(zip(texts, languages, scores, strict=True)):
        others = [(score, -place) for place, score in enumerate(row) if place != num and np.isfinite(score)]
        styles = {num: "dim"} | ({-max(others)[1]: "bold green"} if others else {})
        cells = [
            Text(f"{score:.2f}" if np.isfinite(score) else words.NOTHING, style=styles.get(place, ""))
            for place, score in enumerate(row)
        ]
        table.add_row(str(num + 1), isolated_text(text), Text(words.language_name(language)), *cells)
    return table
