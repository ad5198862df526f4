"""Attention and layer normalisation of BERT's layers: against float64, in both types, whatever the neighbours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from xlrec.kernels.text.layer_norm import add_and_normalise
from xlrec.kernels.text.self_attention import attend


def to_bits(numbers: NDArray[np.float64], kind: str) -> NDArray[np.float32] | NDArray[np.uint16]:
    """The numbers as float32, or cut to bfloat16."""
    wide = numbers.astype(np.float32)
    return wide if kind == "float32" else (wide.view(np.uint32) >> 16).astype(np.uint16)


def from_bits(numbers: NDArray[np.float32] | NDArray[np.uint16]) -> NDArray[np.float64]:
    wide = (numbers.astype(np.uint32) << 16).view(np.float32) if numbers.dtype == np.uint16 else numbers
    return wide.astype(np.float64)


def expected(tokens: NDArray[np.float64], lengths: list[int], n_heads: int, scale: float) -> NDArray[np.float64]:
    """Text by text, head by head, in float64."""
    width = tokens.shape[1] // 3
    out = np.zeros((len(tokens), width))
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends, strict=True):
        for columns in np.split(np.arange(width), n_heads):
            query, key, value = (tokens[start:end][:, columns + part * width] for part in range(3))
            logits = scale * query @ key.T
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            out[start:end, columns] = weights / weights.sum(axis=1, keepdims=True) @ value
    return out


def some(n_tokens: int, width: int, spread: float = 1.5) -> NDArray[np.float64]:
    return np.random.default_rng(n_tokens).normal(0, spread, (n_tokens, 3 * width))


@pytest.mark.parametrize(("kind", "near"), [("float32", 1e-5), ("bfloat16", 2**-8)])
@pytest.mark.parametrize(("n_heads", "size"), [(3, 8), (2, 16), (2, 21), (3, 32), (1, 64)])
def test_each_text_attends_to_itself_alone(kind: str, near: float, n_heads: int, size: int) -> None:
    lengths = [1, 2, 7, 8, 9, 15, 16, 17, 33, 130]
    tokens = to_bits(some(sum(lengths) + 5, n_heads * size), kind)
    found = attend(tokens, np.array(lengths), n_heads, size**-0.5)
    assert found.dtype == tokens.dtype
    right = expected(from_bits(tokens), lengths, n_heads, size**-0.5)
    np.testing.assert_allclose(from_bits(found), right, rtol=near, atol=near)
    assert not found[-5:].any()  # what fills the row up


@pytest.mark.parametrize("spread", [0.0, 1e-3, 40.0])
def test_equal_and_far_apart_logits(spread: float) -> None:
    tokens = to_bits(some(50, 32, spread), "float32")
    found = attend(tokens, np.array([50]), 2, 0.25)
    np.testing.assert_allclose(found, expected(from_bits(tokens), [50], 2, 0.25), rtol=1e-4, atol=1e-4 * (spread or 1))


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_neighbours_do_not_change_a_bit_of_attention(kind: str) -> None:
    lengths = [40, 3, 16, 21]
    tokens, ends = to_bits(some(80, 96), kind), np.cumsum(lengths)
    whole = attend(tokens, np.array(lengths), 3, 0.2)
    for start, end in zip(ends - lengths, ends, strict=True):
        np.testing.assert_array_equal(attend(tokens[start:end], np.array([end - start]), 3, 0.2), whole[start:end])


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_number_that_is_none_stays_in_its_text_and_is_seen(part: int) -> None:
    tokens = some(24, 32).astype(np.float32)
    tokens[10, 32 * part] = np.nan
    found = attend(tokens, np.array([8, 8, 8]), 1, 0.2)
    assert np.isfinite(found[:8]).all()
    assert np.isfinite(found[16:]).all()
    assert np.isnan(found[10]).any()


@pytest.mark.parametrize(("kind", "near"), [("float32", 2e-6), ("bfloat16", 2**-7)])
@pytest.mark.parametrize("width", [1, 31, 32, 384])
def test_sums_are_normalised(kind: str, near: float, width: int) -> None:
    rng = np.random.default_rng(width)
    left, right = (to_bits(rng.normal(1, 3, (7, width)), kind) for _ in range(2))
    weight, bias = (rng.normal(0, 1, width).astype(np.float32) for _ in range(2))
    rows = from_bits(left) + from_bits(right)
    apart = rows - rows.mean(axis=1, keepdims=True)
    expected = apart / np.sqrt((apart**2).mean(axis=1, keepdims=True) + 1e-12) * weight + bias
    found = add_and_normalise(left, right, weight, bias, 1e-12)
    assert found.dtype == left.dtype
    np.testing.assert_allclose(from_bits(found), expected, rtol=near, atol=near)
    np.testing.assert_array_equal(add_and_normalise(left[3:4], right[3:4], weight, bias, 1e-12), found[3:4])
