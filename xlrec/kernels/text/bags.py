"""Bags of tokens: means of rows, their gradients, and an optimiser that updates only the rows of a batch.

Everything is float32, one thread, and in a fixed order, so that the same inputs give the same bits. Bags lie one after
another: `numbers[offsets[i]:offsets[i + 1]]` is bag i.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from xlrec.kernels.base.csr import entries_of, first_entries, indptr_of

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]


def join_bags(numbers: Ints, offsets: Longs, rows: Longs, starts: Longs, longest: int) -> tuple[Ints, Longs]:
    """Numbers and offsets of bags that are each joined of several.

    Joined bag i is of the bags `rows[starts[i]:starts[i + 1]]`.

    Args:
        numbers: (n_numbers,) int32 tokens, bag after bag.
        offsets: (n_bags + 1,) int64 bounds of the bags.
        rows: (n_rows,) int64 bags to join.
        starts: (n + 1,) int64 bounds in `rows` of each joined bag.
        longest: tokens at which a joined bag is cut.

    Returns:
        (n_entries,) int32 numbers and (n + 1,) int64 offsets of the joined bags.
    """
    row_bounds, places = entries_of(offsets, rows)
    bounds, kept = first_entries(row_bounds[starts], longest)
    return numbers[places[kept]], bounds


def expand_tokens(
    numbers: Ints, offsets: Longs, parts: Ints, part_offsets: Longs, chosen: npt.NDArray[np.bool_]
) -> tuple[Ints, Longs]:
    """Numbers and offsets of the bags, chosen tokens replaced by their parts.

    A chosen token t has `parts[part_offsets[t]:part_offsets[t + 1]]`; one without parts stays.

    Args:
        numbers: (n_numbers,) int32 tokens, bag after bag.
        offsets: (n_bags + 1,) int64 bounds of the bags.
        parts: (n_parts,) int32 tokens that the tokens are made of, token after token.
        part_offsets: (n_tokens + 1,) int64 bounds of each token's parts.
        chosen: (n_tokens,) bool tokens to replace.

    Returns:
        (n_entries,) int32 numbers and (n_bags + 1,) int64 offsets.
    """
    n_parts = np.diff(part_offsets)
    replaced = (chosen & (n_parts > 0))[numbers]
    sizes = np.where(replaced, n_parts[numbers], 1)
    expanded = np.repeat(numbers, sizes)
    expanded[np.repeat(replaced, sizes)] = parts[entries_of(part_offsets, numbers[replaced])[1]]
    return expanded, indptr_of(sizes)[offsets]


def distinct_numbers(numbers: Ints, n_numbers: int) -> tuple[Ints, Ints]:
    """(n_distinct,) int32 distinct numbers, ascending, and (n,) int32 place of each of (n,) int32 numbers among them.

    Each is below n_numbers, for each of which it takes 5 bytes of memory.
    """
    present = np.zeros(n_numbers, dtype=np.bool_)
    present[numbers] = True
    distinct = np.flatnonzero(present).astype(np.int32)
    places = np.empty(n_numbers, dtype=np.int32)
    places[distinct] = np.arange(len(distinct), dtype=np.int32)
    return distinct, places[numbers]


@njit(cache=True, fastmath=True)
def _bag_sums(rows, numbers, offsets, shares):  # type: ignore[no-untyped-def]
    """(n_bags, dim) float32 sums of each bag's rows, times the bag's share (n_bags,) float32."""
    dim = rows.shape[1]
    sums = np.zeros((len(shares), dim), dtype=np.float32)
    for bag in range(len(shares)):
        for place in range(offsets[bag], offsets[bag + 1]):
            number = numbers[place]
            for k in range(dim):
                sums[bag, k] += rows[number, k]
        for k in range(dim):
            sums[bag, k] *= shares[bag]
    return sums


@njit(cache=True, fastmath=True)
def _row_gradients(gradients, numbers, offsets, shares, n_rows):  # type: ignore[no-untyped-def]
    """(n_rows, dim) float32 gradients of the rows, of (n_bags, dim) gradients of their `_bag_sums`."""
    dim = gradients.shape[1]
    found = np.zeros((n_rows, dim), dtype=np.float32)
    for bag in range(len(shares)):
        for place in range(offsets[bag], offsets[bag + 1]):
            number = numbers[place]
            for k in range(dim):
                found[number, k] += shares[bag] * gradients[bag, k]
    return found


def _inverse_sizes(offsets: Longs) -> Floats:
    return (1.0 / np.maximum(np.diff(offsets), 1)).astype(np.float32)


def _inverse_roots(offsets: Longs) -> Floats:
    return (1.0 / np.sqrt(np.maximum(np.diff(offsets), 1))).astype(np.float32)


def bag_means(rows: Floats, numbers: Ints, offsets: Longs) -> Floats:
    """(n_bags, dim) float32 mean of `rows[numbers[offsets[i]:offsets[i + 1]]]`; zero for an empty bag.

    Args:
        rows: (n_rows, dim) float32.
        numbers: (n_numbers,) int32 rows, bag after bag.
        offsets: (n_bags + 1,) int64 bounds of the bags.
    """
    return np.asarray(_bag_sums(rows, numbers, offsets, _inverse_sizes(offsets)))


def bag_gradients(gradients: Floats, numbers: Ints, offsets: Longs, n_rows: int) -> Floats:
    """(n_rows, dim) float32 gradients of the rows, from those of the bags' means.

    Args:
        gradients: (n_bags, dim) float32 gradients of `bag_means`.
        numbers: (n_numbers,) int32 rows, bag after bag.
        offsets: (n_bags + 1,) int64 bounds of the bags.
        n_rows: number of all rows.
    """
    return np.asarray(_row_gradients(gradients, numbers, offsets, _inverse_sizes(offsets), n_rows))


@njit(cache=True, fastmath=True)
def adagrad_step(rows: Floats, squares: Floats, numbers: Ints, gradients: Floats, rate: float) -> None:
    """Row-wise Adagrad in place: a row's step is divided by the root of its summed mean squared gradients.

    Source: Duchi et al. 2011, with one accumulator a row, as is usual for embedding tables.

    Args:
        rows: (n_rows, dim) float32, written to.
        squares: (n_rows,) float32 accumulators of the rows, written to.
        numbers: (n,) int32 rows to change, distinct.
        gradients: (n, dim) float32 gradients of these.
        rate: of learning.
    """
    dim = rows.shape[1]
    for place in range(len(numbers)):
        number = numbers[place]
        square = np.float32(0.0)
        for k in range(dim):
            square += gradients[place, k] * gradients[place, k]
        if square > 0.0:
            squares[number] += square / dim
            step = np.float32(rate / np.sqrt(squares[number]))
            for k in range(dim):
                rows[number, k] -= step * gradients[place, k]


def composed_rows(own: Floats, shared: Floats, tokens: Ints, numbers: Ints, offsets: Longs) -> Floats:
    """(n, dim) float32 own row of each token plus the sum of its shared rows over the root of their number.

    Args:
        own: (n_tokens, dim) float32 own rows of all tokens.
        shared: (n_shared, dim) float32 shared rows.
        tokens: (n,) int32 tokens.
        numbers: (n_numbers,) int32 shared rows of all tokens, token after token.
        offsets: (n_tokens + 1,) int64 bounds of each token's numbers.
    """
    bounds, places = entries_of(offsets, tokens)
    return np.asarray(own[tokens] + _bag_sums(shared, numbers[places], bounds, _inverse_roots(bounds)))


def shared_gradients(
    gradients: Floats, tokens: Ints, numbers: Ints, offsets: Longs, n_shared: int
) -> tuple[Ints, Floats]:
    """Shared rows that these tokens have, and their gradients.

    Args:
        gradients: (n, dim) float32 gradients of `composed_rows`.
        tokens: (n,) int32 tokens.
        numbers: (n_numbers,) int32 shared rows of all tokens, token after token.
        offsets: (n_tokens + 1,) int64 bounds of each token's numbers.
        n_shared: number of all shared rows.

    Returns:
        (n_met,) int32 shared rows, ascending, and (n_met, dim) float32 gradients.
    """
    bounds, places = entries_of(offsets, tokens)
    met, among = distinct_numbers(numbers[places], n_shared)
    return met, np.asarray(_row_gradients(gradients, among, bounds, _inverse_roots(bounds), len(met)))
