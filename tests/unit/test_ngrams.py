"""The compiled n-gram kernel against an oracle in plain Python integers."""

import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.text.ngrams import BREAK, CLASS_SHIFT, DROP, LETTER, RUNNING, SIGN, NgramShape, ngram_vectors

SHAPE = NgramShape(letters_min=3, letters_max=4, running_max=2, n_slots=2, max_words=6)
WEIGHTS = np.array([1.0, 1.0, 0.5, 1.0, 0.9, 1.0, 1.0, 0.7])
DIM = 37
MASK = (1 << 64) - 1
#: Symbols of a small alphabet of every class; few letters, so that n-grams repeat.
SYMBOLS = [BREAK << CLASS_SHIFT, DROP << CLASS_SHIFT] + [
    kind << CLASS_SHIFT | code for kind, code in itertools.product((LETTER, RUNNING, SIGN), (97, 98, 99))
]
Text = list[int]
texts_of_symbols = st.lists(st.sampled_from(SYMBOLS), max_size=24)


def mix(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def feature(codes: tuple[int, ...], kind: int) -> int:
    rolling = 0xCBF29CE484222325
    for code in codes:
        rolling = (rolling ^ code) * 0x100000001B3 & MASK
    return mix(rolling) & ~7 | kind


def runs_of(text: Text, max_words: int) -> list[tuple[int, tuple[int, ...]]]:
    """(class, code points) of each word, run of characters, or sign, up to max_words words."""
    kept = [(symbol >> CLASS_SHIFT, symbol & 0x1FFFFF) for symbol in text if symbol >> CLASS_SHIFT != DROP]
    words: list[tuple[int, int, tuple[int, ...]]] = []  # class, number of the run, code points
    run, before = 0, BREAK
    for kind, code in kept:
        if kind != before or kind == SIGN:
            run += 1
        if kind == LETTER and before == LETTER:
            words[-1] = (kind, run, (*words[-1][2], code))
        elif kind != BREAK:
            words.append((kind, run, (code,)))
        before = kind
    joined = itertools.groupby(words[:max_words], key=lambda word: word[:2])
    return [(key[0], tuple(code for word in group for code in word[2])) for key, group in joined]


def grams(codes: tuple[int, ...], n_min: int, n_max: int) -> list[int]:
    return [
        feature(codes[start : start + n], n)
        for n in range(n_min, n_max + 1)
        for start in range(len(codes) - n + 1)
    ]  # fmt: skip


def oracle(text: Text, shape: NgramShape, dim: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    found: list[int] = []
    for kind, codes in runs_of(text, shape.max_words):
        if kind == LETTER:
            bounded = (0x7FFFFFFF, *codes, 0x7FFFFFFF)
            found += [*grams(bounded, shape.letters_min, shape.letters_max), feature(bounded, 7)]
        else:
            found += grams(codes, 1, shape.running_max)
    found = found or [feature((), 0)]
    sums = np.zeros(dim)
    for one in sorted(set(found)):
        state = one
        for _ in range(shape.n_slots):
            state = mix((state + 0x9E3779B97F4A7C15) & MASK)
            sums[(state >> 32) % dim] += math.sqrt(found.count(one)) * WEIGHTS[one & 7] * (1 if state & 1 else -1)
    return np.asarray(sums / np.linalg.norm(sums) if sums.any() else np.eye(1, dim)[0])


def vectors(
    texts: list[Text], shape: NgramShape = SHAPE, dim: int = DIM
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    offsets = np.cumsum([0] + [len(text) for text in texts]).astype(np.int64)
    symbols = np.array([symbol for text in texts for symbol in text], dtype=np.uint32)
    return np.asarray(ngram_vectors(symbols, offsets, WEIGHTS, shape, dim))


@settings(deadline=None)  # the first call compiles
@given(st.lists(texts_of_symbols, max_size=4))
def test_vectors_are_those_of_the_oracle(texts: list[Text]) -> None:
    expected = np.array([oracle(text, SHAPE, DIM) for text in texts]).reshape(len(texts), DIM)
    np.testing.assert_allclose(vectors(texts), expected, atol=1e-6)


@settings(deadline=None)  # the first call compiles
@given(st.lists(texts_of_symbols, min_size=1, max_size=5), st.randoms())
def test_a_row_is_the_same_to_the_bit_in_every_batch(texts: list[Text], random: Random) -> None:
    order = list(range(len(texts)))
    random.shuffle(order)
    together = vectors([texts[row] for row in order])
    for position, row in enumerate(order):
        assert together[position].tobytes() == vectors([texts[row]])[0].tobytes()


@settings(deadline=None)  # the first call compiles
@given(texts_of_symbols)
def test_every_text_has_unit_norm_the_empty_one_too(text: Text) -> None:
    for row in vectors([text, []]):
        assert np.linalg.norm(row.astype(np.float64)) == pytest.approx(1.0, abs=1e-6)


def test_words_beyond_the_limit_change_nothing() -> None:
    words = [[LETTER << CLASS_SHIFT | code, BREAK] for code in range(97, 106)]
    five, six, nine = (list(itertools.chain(*words[:n])) for n in (5, 6, 9))
    assert vectors([six]).tobytes() == vectors([nine]).tobytes()
    assert vectors([five]).tobytes() != vectors([six]).tobytes()


def test_characters_without_spaces_are_cut_as_words_are() -> None:
    running = [RUNNING << CLASS_SHIFT | code for code in range(97, 107)]
    assert vectors([running[:6]]).tobytes() == vectors([running]).tobytes()


def test_letters_next_to_running_characters_are_words_of_their_own() -> None:
    letters, running = [LETTER << CLASS_SHIFT | 97] * 2, [RUNNING << CLASS_SHIFT | 98]
    apart = [*letters, BREAK, *running]
    assert vectors([letters + running]).tobytes() == vectors([apart]).tobytes()


def test_inner_products_are_near_those_of_the_features_themselves() -> None:
    rng = np.random.default_rng(7)
    words = [[LETTER << CLASS_SHIFT | int(code) for code in rng.integers(97, 123, 6)] + [BREAK] for _ in range(40)]
    shape = SHAPE._replace(max_words=100)
    half = [symbol for word in words[:20] for symbol in word]
    other = [symbol for word in words[20:] for symbol in word]
    both = [symbol for word in words for symbol in word]
    rows = vectors([half, both, other], shape, 4096)
    assert float(rows[0] @ rows[1]) == pytest.approx(math.sqrt(0.5), abs=0.06)
    assert float(rows[0] @ rows[2]) == pytest.approx(0.0, abs=0.06)
