"""Runs that lie one after another, as compressed sparse rows: `indptr[r]` to `indptr[r + 1]` is row r."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def indptr_of(sizes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(n_rows + 1,) int64 bounds of rows of these (n_rows,) integer sizes."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def owners_of(indptr: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(n_entries,) int64 row of each entry of the rows with (n_rows + 1,) integer bounds `indptr`."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def run_starts(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) bool: the entry differs from the one before it in any of the columns; the first one does.

    The columns are (n,) each, of any dtype.
    """
    starts = np.ones(len(columns[0]), dtype=np.bool_)
    starts[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return starts


def first_entries(indptr: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bounds and places of the first entries of each row.

    Args:
        indptr: (n_rows + 1,) int64 bounds of the rows.
        most: entries of a row, at most.

    Returns:
        (n_rows + 1,) int64 bounds, and (n,) int64 places among all entries.
    """
    sizes = np.minimum(np.diff(indptr), most)
    bounds = indptr_of(sizes)
    return bounds, np.arange(bounds[-1]) + np.repeat(indptr[:-1] - bounds[:-1], sizes)


def entries_of(
    indptr: NDArray[np.int64], rows: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bounds and places of the entries of some rows, in the order of these.

    Args:
        indptr: (n_rows + 1,) int64 bounds of all rows.
        rows: (n,) integer rows in any order, repeats allowed.

    Returns:
        (n + 1,) int64 bounds, and (n_entries,) int64 places among all entries.
    """
    bounds = indptr_of(indptr[rows + 1] - indptr[rows])
    return bounds, np.arange(bounds[-1]) + np.repeat(indptr[rows] - bounds[:-1], np.diff(bounds))
