"""Languages shown, and the divergence of a list's languages from the reader's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.ranking.calibration import ALPHA, divergence, shown_languages

LANGUAGES = st.sets(st.integers(0, 129), max_size=5)


def test_a_list_that_follows_the_reader_has_no_divergence_and_one_without_her_language_the_most() -> None:
    assert divergence(np.array([0.75, 0.25]), np.array([3, 1])) == pytest.approx(0)
    assert divergence(np.array([1.0, 0.0]), np.array([0, 4])) == pytest.approx(math.log(1 / ALPHA))
    assert divergence(np.array([1.0, 0.0]), np.array([0, 0])) == pytest.approx(math.log(1 / ALPHA))
    assert divergence(np.array([0.0]), np.array([7])) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6))
def test_divergence_is_never_negative(groups: list[tuple[int, int]]) -> None:
    wanted = np.array([w for w, _ in groups], dtype=float)
    target = wanted / wanted.sum() if wanted.sum() else wanted
    assert divergence(target, np.array([c for _, c in groups])) >= -1e-12


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
