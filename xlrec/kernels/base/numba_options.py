"""Compiled helpers of inner loops: they own no array and return numbers, so that numba need not count references.

Counting is an atomic instruction for each array of each call, which can take more time than the work: it made the
greedy of `xlrec.kernels.ranking.selection` take three times as long. numba refuses to compile what would need it.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS: Final[Any] = {"cache": True, "_nrt": False}  # as `Any`: the stubs know no `_nrt`


def uncounted(function: _Function) -> _Function:
    """`njit` for a helper that makes no array."""
    return cast(_Function, njit(**_OPTIONS)(function))
