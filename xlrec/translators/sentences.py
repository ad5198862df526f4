"""Texts into the sentences that translation models were trained on, and back."""

import re

#: After the end of a sentence: marks of Latin and its kin with a space, of Chinese and Japanese without, of Arabic,
#: Hindi and others.
_END = re.compile(r"(?<=[.!?…؟۔।])\s+|(?<=[。！？])")


def split_sentences(text: str) -> list[list[str]]:
    """Sentences of each line; a blank line has none. `join(split(text))` keeps the lines."""
    return [[part for part in _END.split(line.strip()) if part.strip()] for line in text.split("\n")]


def join(lines: list[list[str]]) -> str:
    """One text of the lines' sentences; lines with none are left out."""
    return "\n".join(" ".join(line) for line in lines if line)
