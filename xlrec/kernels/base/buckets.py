"""Buckets of counts, such as lengths of histories, and their labels."""

from collections.abc import Iterable
from itertools import pairwise


def count_buckets(bounds: Iterable[int]) -> list[tuple[int, int | None, str]]:
    """(first, after, label: 0, 3-9, 30+) of the buckets from 0 and each bound on; the last is open: after is None."""
    firsts = sorted({0, *bounds})
    closed = [(a, b, f"{a}" if b == a + 1 else f"{a}-{b - 1}") for a, b in pairwise(firsts)]
    return [*closed, (firsts[-1], None, f"{firsts[-1]}+")]
