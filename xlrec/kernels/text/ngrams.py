"""Character n-grams of texts, hashed and projected to unit vectors.

A text comes as *symbols*: code points whose class is packed above them (`symbol`). Words of scripts that write spaces
give n-grams that see the word's boundaries, and the word itself; scripts that write none (Han, Kana, Thai, …) give
n-grams of their running characters. Each feature is hashed and added, with a sign, to a few of the dim numbers.

Source: Bojanowski et al. 2017, "Enriching word vectors with subword information" (n-grams with boundaries); Weinberger
et al. 2009, "Feature hashing for large scale multitask learning" (signs); Kane and Nelson 2014, "Sparser
Johnson-Lindenstrauss transforms" (several numbers for each feature).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

#: Classes of symbols: between words; dropped; letter of a script with spaces; character of a script without; sign.
BREAK, DROP, LETTER, RUNNING, SIGN = 0, 1, 2, 3, 4
CLASS_SHIFT = 21
_CODE_POINT = np.uint32((1 << CLASS_SHIFT) - 1)
#: Stands for both ends of a word; larger than any code point.
_BOUNDARY = np.uint64(0x7FFFFFFF)
_PRIME = np.uint64(0x100000001B3)
_OFFSET = np.uint64(0xCBF29CE484222325)
_KINDS = 8  # the low bits of a feature say what it is: 0 the empty text, 1..6 an n-gram of that length, 7 a word
WORD = 7


class NgramShape(NamedTuple):
    """Which n-grams there are and what they weigh."""

    letters_min: int
    letters_max: int
    running_max: int
    n_slots: int
    max_words: int


@njit(cache=True)
def _mix(x: np.uint64) -> np.uint64:
    """A bijection on 64 bits in which every bit of x moves half of the result. Source: splitmix64, Steele 2014."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def _feature(rolling: np.uint64, kind: int) -> np.uint64:
    return (_mix(rolling) & ~np.uint64(_KINDS - 1)) | np.uint64(kind)


@njit(cache=True)
def _add_ngrams(
    run: npt.NDArray[np.uint64], n_run: int, n_min: int, n_max: int, out: npt.NDArray[np.uint64], n_out: int
) -> int:
    """Number of features in `out` after adding every n-gram of `run[:n_run]`, n_min <= n <= n_max."""
    for start in range(n_run):
        rolling = _OFFSET
        for n in range(1, min(n_max, n_run - start) + 1):
            rolling = (rolling ^ run[start + n - 1]) * _PRIME
            if n >= n_min:
                out[n_out] = _feature(rolling, n)
                n_out += 1
    return n_out


@njit(cache=True)
def _add_word(run: npt.NDArray[np.uint64], n_run: int, out: npt.NDArray[np.uint64], n_out: int) -> int:
    """Number of features in `out` after adding `run[:n_run]` as a whole."""
    rolling = _OFFSET
    for position in range(n_run):
        rolling = (rolling ^ run[position]) * _PRIME
    out[n_out] = _feature(rolling, WORD)
    return n_out + 1


@njit(cache=True)
def _cut(symbols: npt.NDArray[np.uint32], max_words: int) -> int:
    """Number of symbols up to the end of word max_words; a sign, or a character that no space follows, is a word."""
    n_words, before = 0, BREAK
    for position in range(len(symbols)):
        kind = int(symbols[position] >> np.uint32(CLASS_SHIFT))
        if kind == DROP:
            continue
        if kind != BREAK and not (kind == LETTER and before == LETTER):
            n_words += 1
            if n_words > max_words:
                return position
        before = kind
    return len(symbols)


@njit(cache=True)
def _features(
    symbols: npt.NDArray[np.uint32], shape: NgramShape, run: npt.NDArray[np.uint64], out: npt.NDArray[np.uint64]
) -> int:
    """Number of features of one text, written to `out` in text order; at least one, as the empty text is a feature."""
    n_out, n_run, before = 0, 0, BREAK
    n_symbols = _cut(symbols, shape.max_words)
    for position in range(n_symbols + 1):
        kind = BREAK if position == n_symbols else int(symbols[position] >> np.uint32(CLASS_SHIFT))
        if kind == DROP:
            continue
        if kind != before or kind == SIGN:  # a run has ended
            if before == LETTER:
                run[n_run] = _BOUNDARY
                n_out = _add_ngrams(run, n_run + 1, shape.letters_min, shape.letters_max, out, n_out)
                n_out = _add_word(run, n_run + 1, out, n_out)
            elif before != BREAK:
                n_out = _add_ngrams(run, n_run, 1, shape.running_max, out, n_out)
            run[0] = _BOUNDARY
            n_run, before = int(kind == LETTER), kind
        if kind != BREAK:
            run[n_run] = np.uint64(symbols[position] & _CODE_POINT)
            n_run += 1
    if n_out == 0:
        out[0] = _feature(_OFFSET, 0)
        n_out = 1
    return n_out


@njit(cache=True)
def _project(
    features: npt.NDArray[np.uint64], weights: npt.NDArray[np.float64], n_slots: int, sums: npt.NDArray[np.float64]
) -> None:
    """Adds every distinct one of the sorted features to `sums`, weighed by the root of how often it occurs."""
    sums[:] = 0.0
    start = 0
    while start < len(features):
        end = start + 1
        while end < len(features) and features[end] == features[start]:
            end += 1
        # The square root is sublinear as the logarithm is, and IEEE 754 defines it to the last bit.
        weight = weights[int(features[start] & np.uint64(_KINDS - 1))] * np.sqrt(float(end - start))
        state = features[start]
        for _ in range(n_slots):
            state = _mix(state + np.uint64(0x9E3779B97F4A7C15))
            slot = int((state >> np.uint64(32)) % np.uint64(len(sums)))
            sums[slot] += weight if state & np.uint64(1) else -weight
        start = end


@njit(cache=True)
def ngram_vectors(
    symbols: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    shape: NgramShape,
    dim: int,
) -> npt.NDArray[np.float32]:
    """(n_texts, dim) float32, unit norm, of texts `symbols[offsets[i]:offsets[i + 1]]`; a row depends on its text only.

    Args:
        symbols: (n_symbols,) class << CLASS_SHIFT | code point.
        offsets: (n_texts + 1,) ascending.
        weights: (8,) weight of the empty text, of n-grams of length 1..6, and of whole words.
        shape: which n-grams there are.
        dim: numbers in a vector.
    """
    n_texts = len(offsets) - 1
    longest = 0
    for row in range(n_texts):
        longest = max(longest, offsets[row + 1] - offsets[row])
    vectors = np.empty((n_texts, dim), dtype=np.float32)
    run = np.empty(longest + 2, dtype=np.uint64)
    # A word of c letters has c + 2 symbols, each of which starts one n-gram of each length, and is a feature itself.
    found = np.empty((3 * longest + 2) * max(shape.letters_max, shape.running_max) + longest + 1, dtype=np.uint64)
    sums = np.empty(dim, dtype=np.float64)
    for row in range(n_texts):
        n_found = _features(symbols[offsets[row] : offsets[row + 1]], shape, run, found)
        _project(np.sort(found[:n_found]), weights, shape.n_slots, sums)
        norm = 0.0
        for slot in range(dim):
            norm += sums[slot] * sums[slot]
        if norm == 0.0:  # two features may cancel out
            sums[0], norm = 1.0, 1.0
        norm = np.sqrt(norm)
        for slot in range(dim):
            vectors[row, slot] = sums[slot] / norm
    return vectors
