"""Rows brought to one length, so that layer normalisation only scales them and keeps what each row weighs."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
#: Of a million rows, a hundred may be longer than the common length, and are shortened.
_SHARE = 0.9999


def common_length(rows: Floats, n_more: int) -> float:
    """The length for `levelled`: that of the longest rows but for 1 in 10,000.

    Args:
        rows: (n, dim), n > 0.
        n_more: numbers that each row gets.
    """
    return float(np.sqrt(np.quantile(_squares(rows, n_more), _SHARE, method="higher")))


def levelled(rows: Floats, n_more: int, length: float) -> Floats:
    """(n, dim + n_more) float32 of this length and mean zero, the row's own numbers first; a longer row is shortened.

    The numbers that are added alternate in sign about a mean that takes out the row's own sum.

    Args:
        rows: (n, dim).
        n_more: even, > 0.
        length: > 0.
    """
    squares = _squares(rows, n_more)
    kept = np.minimum(1.0, length / np.sqrt(np.maximum(squares, 1e-30)))
    own = (rows * kept[:, None]).astype(np.float32)
    swing = np.sqrt(np.maximum(length**2 - squares * kept**2, 0.0) / n_more)
    signs = np.resize([1.0, -1.0], n_more)
    mean = own.sum(axis=1, dtype=np.float64) / n_more
    return np.concatenate([own, (swing[:, None] * signs - mean[:, None]).astype(np.float32)], axis=1)


def _squares(rows: Floats, n_more: int) -> npt.NDArray[np.float64]:
    """(n,) squared length of each row once its sum is taken out by n_more numbers."""
    squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return np.asarray(squares + rows.sum(axis=1, dtype=np.float64) ** 2 / n_more)
