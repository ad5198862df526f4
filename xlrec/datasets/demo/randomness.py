"""Random draws that depend on a seed, a purpose and integer keys alone: the same however the work is cut."""

import zlib
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_GOLDEN: Final = 0x9E3779B97F4A7C15


def uniform(seed: int, purpose: str, *keys: ArrayLike) -> Floats:
    """Uniform draws in [0, 1), (n,) float64: one for each row of the broadcast integer keys.

    Source: SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014, as a hash of
    (seed, purpose, keys).
    """
    start = (seed * _GOLDEN + zlib.crc32(purpose.encode())) % 2**64
    state = _mix_bits(np.array([start], dtype=np.uint64))
    for key in keys:
        state = _mix_bits(state ^ (np.atleast_1d(np.asarray(key)).astype(np.uint64) * np.uint64(_GOLDEN)))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, purpose: str, *keys: ArrayLike) -> Floats:
    """Standard normal draws by Box and Muller, (n,) float64, rounded so that CPUs agree."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(seed, purpose + "/radius", *keys)))
    return np.round(radius * np.cos(2.0 * np.pi * uniform(seed, purpose + "/angle", *keys)), 9)


def exponential(seed: int, purpose: str, *keys: ArrayLike) -> Floats:
    """Exponential draws of mean 1, (n,) float64, rounded so that CPUs agree."""
    draws: Floats = -np.log(1.0 - uniform(seed, purpose, *keys))
    return draws.round(9)


def integers(seed: int, purpose: str, high: ArrayLike, *keys: ArrayLike) -> Ints:
    """Uniform draws in [0, high), (n,) int64; `high` broadcasts against the keys."""
    return np.asarray(uniform(seed, purpose, *keys) * np.asarray(high)).astype(np.int64)


def share_mask(seed: int, purpose: str, n: int, share: float) -> Bools:
    """Mask (n,) bool with exactly max(1, round(share * n)) rows drawn; all False where n is 0."""
    mask = np.zeros(n, dtype=np.bool_)
    order = np.argsort(uniform(seed, purpose, np.arange(n)), kind="stable")
    mask[order[: max(1, round(share * n))]] = True
    return mask


def weighted_choice(weights: ArrayLike, draws: Floats) -> Ints:
    """(n,) int64 places among the choices, for (n,) float64 draws in [0, 1).

    Weights are (n_choices,) numbers of any dtype, which need not sum to 1.
    """
    total = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.searchsorted(total / total[-1], draws, side="right").clip(max=len(total) - 1).astype(np.int64)


def _mix_bits(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
