"""Languages that readers want, and the language in which each item is shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.ranking.calibration import language_mixes, shown_languages

LANGUAGES = st.sets(st.integers(0, 129), max_size=5)


@pytest.mark.parametrize("shares", [[], [0.0, 0.0], [float("inf"), 1.0]])
def test_a_reader_whose_languages_are_unknown_gets_no_regard_to_them(shares: list[float]) -> None:
    unknown, known = language_mixes(np.array([*shares, 0.5, 0.25]), np.array([0, len(shares), len(shares) + 2]), 0.7)
    assert unknown.weight == 0.0
    assert unknown.target.tolist() == [0.0] * (len(shares) + 1)
    assert known.weight == 0.7
    assert known.target.tolist() == [0.5 / 0.75, 0.25 / 0.75, 0.0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(LANGUAGES, max_size=6), st.lists(st.integers(-1, 129), max_size=4, unique=True))))
def test_the_language_shown_is_the_heaviest_that_the_reader_reads_else_the_items_first(
    readers: list[tuple[list[set[int]], list[int]]],
) -> None:
    items = [item for some, _ in readers for item in some]
    bits = np.zeros((len(items), 3), dtype=np.uint64)
    for row, languages in enumerate(items):
        for num in languages:
            bits[row, num // 64] |= np.uint64(1 << num % 64)
    nums = np.arange(len(items), dtype=np.int32)
    indptr = indptr_of(np.array([len(some) for some, _ in readers], dtype=np.int64))
    reads = [language for _, some in readers for language in some]
    reads_indptr = indptr_of(np.array([len(some) for _, some in readers], dtype=np.int64))
    groups, shown = shown_languages(bits, nums, indptr, np.array(reads, dtype=np.int64), reads_indptr)
    wanted = [(item, some) for texts, some in readers for item in texts]
    for group, language, (item, some) in zip(groups.tolist(), shown.tolist(), wanted, strict=True):
        known = [one for one in some if one in item]
        assert language == (known[0] if known else min(item, default=-1))
        assert group == (some.index(known[0]) if known else len(some))
