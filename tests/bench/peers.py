"""Recommenders of the field on the same logs: each gives (n_users, n_items) scores, with a small grid to tune.

`implicit` gives iALS and BPR; EASE is Steck 2019; the sequential one counts what follows soon after what. Histories
come as (user, item, time) positives. All are dense in items: for catalogues of some ten thousand.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
DAY = 86_400_000_000.0


class Log(NamedTuple):
    """Positives, ordered by user and time."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    micros: NDArray[np.int64]
    n_users: int
    n_items: int

    @property
    def binary(self) -> Any:
        """(n_users, n_items) CSR of ones."""
        ones = np.ones(len(self.users), dtype=np.float32)
        found = sp.csr_matrix((ones, (self.users, self.items)), shape=(self.n_users, self.n_items))
        found.data[:] = 1
        return found


class Peer(NamedTuple):
    """A recommender: a function of the log and a setting, and the settings to choose from."""

    scores: Callable[..., Floats]
    grid: dict[str, list[Any]]

    def settings(self) -> Iterator[dict[str, Any]]:
        """Every combination."""
        for values in product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


def popular(log: Log, half_life_days: float) -> Floats:
    """Counts, each decayed by its age."""
    age = (log.micros.max() - log.micros) / DAY
    counts = np.bincount(log.items, weights=0.5 ** (age / half_life_days), minlength=log.n_items)
    return np.broadcast_to(counts, (log.n_users, log.n_items))


def ease(log: Log, penalty: float) -> Floats:
    """Steck 2019, Embarrassingly shallow autoencoders for sparse data, eq. 8."""
    rows = log.binary
    seen = np.flatnonzero(np.asarray(rows.sum(axis=0)).ravel() > 0)  # an item without events has weights of 0
    rows = rows[:, seen]
    gram = np.asarray((rows.T @ rows).todense(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += penalty
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    found = np.zeros((log.n_users, log.n_items))
    found[:, seen] = rows @ weights
    return found


def _implicit(model: Any, log: Log) -> Floats:
    model.fit(log.binary, show_progress=False)
    return np.asarray(model.user_factors) @ np.asarray(model.item_factors).T


def ials(log: Log, factors: int, regularization: float, alpha: float) -> Floats:
    """Hu, Koren and Volinsky 2008, by `implicit`."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors, regularization=regularization, alpha=alpha, iterations=15, random_state=0, num_threads=1
    )
    return _implicit(model, log)


def bpr(log: Log, factors: int, learning_rate: float, iterations: int) -> Floats:
    """Rendle et al. 2009, by `implicit`."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors, learning_rate=learning_rate, iterations=iterations, random_state=0, num_threads=1
    )
    return _implicit(model, log)


def itemknn(log: Log, neighbours: int, shrink: float) -> Floats:
    """Cosine of items' user sets, shrunk; the best neighbours of each item kept."""
    rows = log.binary
    pairs = (rows.T @ rows).tocsr().astype(np.float64)
    sizes = np.asarray(rows.sum(axis=0)).ravel()
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    rows_of = np.repeat(np.arange(log.n_items), np.diff(pairs.indptr))
    pairs.data /= np.sqrt(sizes[rows_of] * sizes[pairs.indices]) + shrink
    return np.asarray((rows @ _best(pairs, neighbours)).todense())


def sequential(
    log: Log, window: int, gap_half_life_days: float, shrink: float, recent: float, half_life_days: float
) -> Floats:
    """What follows soon after what: decayed by places and days between, asked from the newest items."""
    total = sp.csr_matrix((log.n_items, log.n_items))
    end = log.micros.max()
    for ahead in range(1, window + 1):
        a, b = np.arange(len(log.users) - ahead), np.arange(ahead, len(log.users))
        kept = log.users[a] == log.users[b]
        a, b = a[kept], b[kept]
        gap = (log.micros[b] - log.micros[a]) / DAY
        value = 0.5 ** (gap / gap_half_life_days) * 0.5 ** ((end - log.micros[b]) / DAY / half_life_days) / ahead**0.5
        there = sp.csr_matrix((value, (log.items[a], log.items[b])), shape=total.shape)
        total = total + there + 0.5 * there.T.tocsr()
    sizes = np.bincount(log.items, minlength=log.n_items) + shrink
    scale = sp.diags(sizes**-0.5)
    neighbours = _best((scale @ total @ scale).tocsr(), 200)
    last = np.searchsorted(log.users, log.users, side="right") - 1 - np.arange(len(log.users))
    asked = sp.csr_matrix((0.5 ** (last / recent), (log.users, log.items)), shape=(log.n_users, log.n_items))
    return np.asarray((asked @ neighbours).todense())


def _best(pairs: Any, n_best: int) -> Any:
    """The largest entries of each row."""
    for row in range(pairs.shape[0]):
        low, high = pairs.indptr[row], pairs.indptr[row + 1]
        if high - low > n_best:
            values = pairs.data[low:high]
            values[values < np.partition(values, -n_best)[-n_best]] = 0
    pairs.eliminate_zeros()
    return pairs


PEERS = {
    "popular": Peer(popular, {"half_life_days": [1e9]}),
    "popular, decayed": Peer(popular, {"half_life_days": [3, 10, 30, 100, 300, 1000]}),
    "ItemKNN": Peer(itemknn, {"neighbours": [50, 200], "shrink": [0, 20, 100]}),
    "EASE": Peer(ease, {"penalty": [50, 200, 500, 1500]}),
    "iALS": Peer(ials, {"factors": [32, 64], "regularization": [0.1, 10, 100], "alpha": [1, 10]}),
    "BPR": Peer(bpr, {"factors": [32, 64], "learning_rate": [0.01, 0.05], "iterations": [50, 150]}),
    "sequential": Peer(
        sequential,
        {"window": [10], "gap_half_life_days": [1, 30], "shrink": [1, 20], "recent": [1, 3, 10],
         "half_life_days": [180, 20000]},
    ),
}  # fmt: skip
