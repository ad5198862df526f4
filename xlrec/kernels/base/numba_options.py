"""Numba options for helpers of inner loops that allocate no array: compiled without reference counting.

It costs an atomic instruction for each array of each call, and tripled the time of `xlrec.kernels.ranking.selection`.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS: Final[Any] = {"cache": True, "_nrt": False}  # as `Any`: the stubs know no `_nrt`


def njit_without_refcounts(function: _Function) -> _Function:
    """The compiled helper, without reference counting; it may allocate no array."""
    return cast(_Function, njit(**_OPTIONS)(function))
