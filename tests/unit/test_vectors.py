"""Vectors in Arrow: there and back without a copy, and means of segments."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.vectors import decode_vectors, encode_vectors, segment_means, vector_bytes

MATRIX = np.random.default_rng(3).standard_normal((7, 5)).astype(np.float32)


def test_vectors_come_back_as_they_went() -> None:
    assert np.array_equal(decode_vectors(encode_vectors(MATRIX), 5), MATRIX)
    assert encode_vectors(MATRIX).to_pylist() == vector_bytes(MATRIX)
    assert decode_vectors(encode_vectors(MATRIX[:0]), 5).shape == (0, 5)
    assert decode_vectors(pa.chunked_array([], pa.binary()), 5).shape == (0, 5)


def test_one_chunk_is_decoded_without_a_copy() -> None:
    array = encode_vectors(MATRIX)
    values = array.buffers()[2]
    assert values is not None
    assert decode_vectors(array, 5).ctypes.data == values.address


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(20)])
def test_slices_chunks_and_every_binary_type_are_decoded(kind: "pa.DataType") -> None:
    array = pa.array(vector_bytes(MATRIX), kind)
    assert np.array_equal(decode_vectors(array.slice(2, 3), 5), MATRIX[2:5])
    chunks = pa.chunked_array([array.slice(0, 2), array.slice(2, 0), array.slice(2)])
    assert np.array_equal(decode_vectors(chunks, 5), MATRIX)


def test_nulls_and_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 vectors are null"):
        decode_vectors(pa.array([b"1234", None], pa.binary()), 1)
    with pytest.raises(ValueError, match=r"8 bytes .*dim 2.* one of 4 bytes"):
        decode_vectors(pa.array([b"12345678", b"1234"], pa.binary()), 2)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(1, 4), max_size=5), st.integers(0, 1000))
def test_means_are_those_of_the_oracle(sizes: list[int], seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((sum(sizes), 3)).astype(np.float32)
    starts = np.cumsum([0, *sizes]).astype(np.int64)
    means = segment_means(rows, starts)
    assert means.shape == (len(sizes), 3)
    for segment, mean in enumerate(means):
        expected = rows[starts[segment] : starts[segment + 1]].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(mean, expected / np.linalg.norm(expected), atol=1e-6)


def test_rows_that_cancel_out_give_zero() -> None:
    rows = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    assert segment_means(rows, np.array([0, 2], dtype=np.int64)).tolist() == [[0.0, 0.0]]
