"""Poisson bootstrap over users, in pieces that can be added in any order with the same result to the last bit.

Each user has a Poisson(1) weight in each replicate, drawn from (seed, user, replicate) alone. So a user weighs the same
under every system, and the difference of two systems' replicate means is the paired bootstrap of their difference.

Source: Hanley and MacGibbon 2006 (Poisson instead of multinomial weights); Chamandy et al. 2012 (weights from hashes).
"""

from math import e, factorial
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Values are rounded to multiples of 1 / QUANTUM: their weighted sums are then integers over QUANTUM, which float64
#: adds without rounding up to 2^53, so neither block nor order nor BLAS changes a replicate. That holds to 2^33 users
#: for metrics up to 1, 2^28 for novelty in bits; the rounding, at most 5e-7 a user, is far below any interval's width.
QUANTUM: Final = float(1 << 20)
#: Point estimates are summed as int64 multiples of this.
FINE_QUANTUM: Final = float(1 << 32)


def _thresholds() -> NDArray[np.uint64]:
    """(20,) floor(P(Poisson(1) <= j) * 2^64): the weight of a uniform 64-bit number is how many are not above it."""
    below, found = 0.0, []
    for count in range(20):
        below += 1.0 / (e * factorial(count))
        found.append(min(int(below * 2.0**64), 2**64 - 1))
    return np.array(found, dtype=np.uint64)


_POISSON: Final = _thresholds()


@njit(cache=True)
def _mix(key: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): each bit of the input changes all of the output."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@njit(cache=True)
def _draw(users: NDArray[np.uint64], seed: np.uint64, thresholds: NDArray[np.uint64], weights: Floats) -> None:
    golden = np.uint64(0x9E3779B97F4A7C15)
    for row in range(weights.shape[0]):
        state = _mix(users[row] + _mix(seed + golden))
        for replicate in range(weights.shape[1]):
            state += golden
            uniform = _mix(state)
            count = 0
            while count < thresholds.shape[0] and uniform >= thresholds[count]:
                count += 1
            weights[row, replicate] = count


def poisson_weights(users: NDArray[np.integer[Any]], seed: int, n_replicates: int) -> Floats:
    """(n_users, n_replicates) float64 weights, whole numbers >= 0 with mean and variance 1.

    `users` (n_users,) are integer keys of 64 bits, such as hashes of user_ids; equal keys get equal weights. Another
    seed gives other weights; a smaller number of replicates gives the first columns of a larger one.
    """
    weights = np.empty((len(users), n_replicates))
    _draw(np.asarray(users).astype(np.uint64), np.uint64(seed % 2**64), _POISSON, weights)
    return weights


def replicate_sums(weights: Floats, values: Floats) -> Floats:
    """(n_replicates, n_columns) float64 weighted sums of values, each rounded to 1 / QUANTUM.

    Add the sums of other users.

    Args:
        weights: (n_users, n_replicates) float64 of `poisson_weights`.
        values: (n_users, n_columns) float64, finite.
    """
    sums: Floats = weights.T @ np.rint(values * QUANTUM)
    return sums / QUANTUM


def fine_sums(values: Floats) -> NDArray[np.int64]:
    """(n_columns,) int64 sums of (n_users, n_columns) float64 values, in units of 1 / FINE_QUANTUM.

    The values are finite, and each is rounded; add the sums of other users.
    """
    sums: NDArray[np.int64] = np.rint(values * FINE_QUANTUM).astype(np.int64).sum(axis=0)
    return sums


def replicate_means(sums: Floats, counts: Floats) -> Floats:
    """(n_replicates, n_columns) float64 weighted means; NaN where a replicate drew none of the users.

    Any other shape, such as (n_replicates,), does as well.

    Args:
        sums: (n_replicates, n_columns) float64 weighted sums of the values.
        counts: (n_replicates, n_columns) float64 sums of the weights.
    """
    return np.where(counts > 0, sums / np.where(counts > 0, counts, 1.0), np.nan)


def percentile_interval(replicates: Floats, level: float = 0.95) -> tuple[float, float]:
    """Ends of the percentile interval of (n_replicates,) float64 replicates.

    Replicates that are NaN are left out; (nan, nan) where all are.
    """
    known = replicates[~np.isnan(replicates)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_value(differences: Floats) -> float:
    """Two-sided bootstrap p value that the mean difference is 0, by inverting the percentile interval.

    2 min(1 + #{d <= 0}, 1 + #{d >= 0}) / (1 + n), at most 1: never 0, and below 0.05 about where the 95 % interval
    excludes 0. The differences d are (n_replicates,) float64. NaN ones are left out; NaN where all are. Source: Davison
    and Hinkley 1997, section 4.
    """
    known = differences[~np.isnan(differences)]
    if not len(known):
        return float("nan")
    tail = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2.0 * (1 + tail) / (1 + len(known)))


def paired_difference(one: Floats, other: Floats, seed: int, n_replicates: int) -> tuple[float, float, float]:
    """Mean difference of two systems on the same users, with its 95 % interval; (0, nan, nan) where there is no user.

    The values of both are of the same users, row by row, whose weights come from the seed.

    Args:
        one: (n_users,) float64, finite.
        other: (n_users,) float64, finite.
        seed: of the users' weights.
        n_replicates: of the bootstrap.
    """
    if not len(one):
        return 0.0, float("nan"), float("nan")
    weights = poisson_weights(np.arange(len(one)), seed, n_replicates)
    sums = replicate_sums(weights, (one - other)[:, None])[:, 0]
    return (float((one - other).mean()), *percentile_interval(replicate_means(sums, weights.sum(axis=0))))
