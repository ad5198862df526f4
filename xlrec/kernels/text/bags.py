"""Bags of tokens: means of rows, their gradients, and an optimiser that updates only the rows of a batch.

Everything is float32, one thread, and in a fixed order, so that the same inputs give the same bits.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]


@njit(cache=True)
def join_bags(numbers: Ints, offsets: Longs, rows: Longs, starts: Longs, longest: int) -> tuple[Ints, Longs]:
    """(n_entries,) int32 numbers and (n + 1,) int64 offsets of bags, each joined of several.

    Args:
        numbers: (n_numbers,) int32 tokens of the bags.
        offsets: (n_bags + 1,) int64 of `numbers`.
        rows: (n_rows,) int64 bags to join.
        starts: (n + 1,) int64 of `rows`: bag i joins `rows[starts[i]:starts[i + 1]]`.
        longest: tokens at which a joined bag is cut.
    """
    n = len(starts) - 1
    bounds = np.zeros(n + 1, dtype=np.int64)
    for bag in range(n):
        size = 0
        for place in range(starts[bag], starts[bag + 1]):
            size += offsets[rows[place] + 1] - offsets[rows[place]]
        bounds[bag + 1] = bounds[bag] + min(size, longest)
    found = np.empty(bounds[n], dtype=np.int32)
    for bag in range(n):
        target = bounds[bag]
        for place in range(starts[bag], starts[bag + 1]):
            for source in range(offsets[rows[place]], offsets[rows[place] + 1]):
                if target < bounds[bag + 1]:
                    found[target] = numbers[source]
                    target += 1
    return found, bounds


@njit(cache=True)
def expand_tokens(
    numbers: Ints, offsets: Longs, parts: Ints, part_offsets: Longs, chosen: npt.NDArray[np.bool_]
) -> tuple[Ints, Longs]:
    """(n_entries,) int32 numbers and (n_bags + 1,) int64 offsets of the bags, chosen tokens replaced by their parts.

    Args:
        numbers: (n_numbers,) int32 tokens of the bags.
        offsets: (n_bags + 1,) int64, ascending.
        parts: (n_parts,) int32 parts of every token.
        part_offsets: (n_tokens + 1,) int64 of `parts`.
        chosen: (n_tokens,) bool, tokens to replace; one without parts stays.
    """
    total = 0
    for number in numbers:
        size = part_offsets[number + 1] - part_offsets[number]
        total += size if chosen[number] and size else 1
    found = np.empty(total, dtype=np.int32)
    bounds = np.zeros(len(offsets), dtype=np.int64)
    target = 0
    for bag in range(len(offsets) - 1):
        for place in range(offsets[bag], offsets[bag + 1]):
            number = numbers[place]
            first, last = part_offsets[number], part_offsets[number + 1]
            if chosen[number] and last > first:
                for source in range(first, last):
                    found[target] = parts[source]
                    target += 1
            else:
                found[target] = number
                target += 1
        bounds[bag + 1] = target
    return found, bounds


@njit(cache=True)
def distinct_numbers(numbers: Ints, slots: Ints) -> tuple[Ints, Ints]:
    """(n_distinct,) int32 distinct numbers in order of first occurrence, and (n,) int32 place of each among them.

    Args:
        numbers: (n,) int32, each below len(slots).
        slots: (n_slots,) int32 scratch, all -1 before and after.
    """
    places = np.empty(len(numbers), dtype=np.int32)
    found = np.empty(len(numbers), dtype=np.int32)
    count = 0
    for index in range(len(numbers)):
        number = numbers[index]
        if slots[number] < 0:
            slots[number] = count
            found[count] = number
            count += 1
        places[index] = slots[number]
    for index in range(count):
        slots[found[index]] = -1
    return found[:count].copy(), places


@njit(cache=True, fastmath=True)
def bag_means(rows: Floats, numbers: Ints, offsets: Longs) -> Floats:
    """(n_bags, dim) float32 mean of `rows[numbers[offsets[i]:offsets[i + 1]]]`; zero for an empty bag."""
    n, dim = len(offsets) - 1, rows.shape[1]
    means = np.zeros((n, dim), dtype=np.float32)
    for bag in range(n):
        size = offsets[bag + 1] - offsets[bag]
        for place in range(offsets[bag], offsets[bag + 1]):
            number = numbers[place]
            for k in range(dim):
                means[bag, k] += rows[number, k]
        if size > 1:
            share = np.float32(1.0 / size)
            for k in range(dim):
                means[bag, k] *= share
    return means


@njit(cache=True, fastmath=True)
def bag_gradients(gradients: Floats, numbers: Ints, offsets: Longs, n_rows: int) -> Floats:
    """(n_rows, dim) gradient of the rows, of (n_bags, dim) gradients of their means."""
    dim = gradients.shape[1]
    found = np.zeros((n_rows, dim), dtype=np.float32)
    for bag in range(len(offsets) - 1):
        size = offsets[bag + 1] - offsets[bag]
        if size:
            share = np.float32(1.0 / size)
            for place in range(offsets[bag], offsets[bag + 1]):
                number = numbers[place]
                for k in range(dim):
                    found[number, k] += share * gradients[bag, k]
    return found


@njit(cache=True, fastmath=True)
def adagrad_step(rows: Floats, squares: Floats, numbers: Ints, gradients: Floats, rate: float) -> None:
    """Row-wise Adagrad in place: a row's step is divided by the root of its summed mean squared gradients.

    Source: Duchi et al. 2011, with one accumulator a row, as is usual for embedding tables.

    Args:
        rows: (n_rows, dim) float32.
        squares: (n_rows,) float32 accumulators.
        numbers: (n,) distinct rows.
        gradients: (n, dim) of those rows.
        rate: learning rate.
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


@njit(cache=True, fastmath=True)
def composed_rows(own: Floats, shared: Floats, tokens: Ints, numbers: Ints, offsets: Longs) -> Floats:
    """(n_tokens, dim) own row of each token plus the sum of its shared rows over the root of their number."""
    dim = own.shape[1]
    found = np.empty((len(tokens), dim), dtype=np.float32)
    for place in range(len(tokens)):
        token = tokens[place]
        for k in range(dim):
            found[place, k] = 0.0
        for index in range(offsets[token], offsets[token + 1]):
            number = numbers[index]
            for k in range(dim):
                found[place, k] += shared[number, k]
        size = offsets[token + 1] - offsets[token]
        scale = np.float32(1.0 / np.sqrt(max(size, 1)))
        for k in range(dim):
            found[place, k] = own[token, k] + scale * found[place, k]
    return found


@njit(cache=True, fastmath=True)
def shared_gradients(
    gradients: Floats, tokens: Ints, numbers: Ints, offsets: Longs, slots: Ints
) -> tuple[Ints, Floats]:
    """(numbers, (n, dim) gradients) of the shared rows that these tokens have; `slots` as in `distinct_numbers`."""
    total = 0
    for token in tokens:
        total += offsets[token + 1] - offsets[token]
    flat = np.empty(total, dtype=np.int32)
    target = 0
    for token in tokens:
        for index in range(offsets[token], offsets[token + 1]):
            flat[target] = numbers[index]
            target += 1
    met, places = distinct_numbers(flat, slots)
    dim = gradients.shape[1]
    found = np.zeros((len(met), dim), dtype=np.float32)
    target = 0
    for place in range(len(tokens)):
        size = offsets[tokens[place] + 1] - offsets[tokens[place]]
        scale = np.float32(1.0 / np.sqrt(max(size, 1)))
        for _ in range(size):
            number = places[target]
            for k in range(dim):
                found[number, k] += scale * gradients[place, k]
            target += 1
    return met, found
