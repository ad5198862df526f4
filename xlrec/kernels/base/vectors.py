"""Vectors as Arrow carries them between Spark and Python: one binary of little-endian float32 a row."""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

_FLOAT = np.dtype("<f4")


def decode_vectors(column: "pa.Array[Any] | pa.ChunkedArray[Any]", dim: int) -> npt.NDArray[np.float32]:
    """(n, dim) float32 of a binary column: a read-only view into it, where it is one chunk.

    Raises:
        ValueError: a row is null or not 4 * dim bytes long; the writer of the column corrects it.
    """
    array = column
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # some versions keep chunks whose offsets would not fit together
        array = pa.concat_arrays(array.cast(pa.large_binary()).chunks)
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} vectors are null: filter them out first")
    if len(array) == 0:
        return np.empty((0, dim), dtype=_FLOAT)
    width = dim * _FLOAT.itemsize
    if pa.types.is_fixed_size_binary(array.type):
        lengths, start = np.array([array.type.byte_width]), array.offset * array.type.byte_width
    else:
        kind = np.int64 if pa.types.is_large_binary(array.type) else np.int32
        raw = np.frombuffer(cast(Any, array.buffers()[1]), dtype=kind)
        ends = raw[array.offset : array.offset + len(array) + 1]
        lengths, start = np.diff(ends), int(ends[0])
    wrong = lengths[lengths != width]
    if len(wrong):
        raise ValueError(f"vectors of {width} bytes (float32, dim {dim}) expected, one of {int(wrong[0])} bytes found")
    values = np.frombuffer(cast(Any, array.buffers()[-1]), dtype=_FLOAT, count=len(array) * dim, offset=start)
    return values.reshape(len(array), dim)


def encode_vectors(vectors: npt.NDArray[np.float32]) -> "pa.Array[Any]":
    """Binary array of an (n, dim) float32 matrix: a view on it, if contiguous. `decode_vectors` is its inverse.

    Raises:
        ValueError: it is larger than the 2 GiB of one binary array; the caller cuts it.
    """
    matrix = np.ascontiguousarray(vectors, dtype=_FLOAT)
    if matrix.nbytes > np.iinfo(np.int32).max:
        raise ValueError(
            f"a binary array holds 2 GiB, these vectors {matrix.nbytes / 2**30:.1f} GiB: cut them in blocks"
        )
    ends = np.arange(len(matrix) + 1, dtype=np.int32) * np.int32(matrix.shape[1] * _FLOAT.itemsize)
    buffers = [None, pa.py_buffer(cast(Any, ends)), pa.py_buffer(cast(Any, matrix))]
    return pa.Array.from_buffers(pa.binary(), len(matrix), cast(Any, buffers))


def vector_bytes(vectors: npt.NDArray[np.float32]) -> list[bytes]:
    """The n rows of an (n, dim) float32 matrix as bytes, little-endian; at most 2 GiB, as `encode_vectors`."""
    return cast("list[bytes]", encode_vectors(vectors).to_pylist())


@njit(cache=True)
def segment_means(vectors: npt.NDArray[np.float32], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """(n_segments, dim) float32: mean of each segment's rows, scaled to unit norm; zero where they cancel out.

    Args:
        vectors: (n, dim) float32, summed in their order in float64.
        starts: (n_segments + 1,) int64 first row of each segment, ascending, none empty, and n.
    """
    n_segments, dim = len(starts) - 1, vectors.shape[1]
    means = np.zeros((n_segments, dim), dtype=np.float32)
    sums = np.empty(dim, dtype=np.float64)
    for segment in range(n_segments):
        sums[:] = 0.0
        for row in range(starts[segment], starts[segment + 1]):
            for slot in range(dim):
                sums[slot] += vectors[row, slot]
        norm = 0.0
        for slot in range(dim):
            norm += sums[slot] * sums[slot]
        norm = np.sqrt(norm)
        if norm > 0.0:
            for slot in range(dim):
                means[segment, slot] = sums[slot] / norm
    return means
