"""Prefetching: the next result is computed in a thread while the last one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Input = TypeVar("Input")
Result = TypeVar("Result")


def ahead(work: Callable[[Input], Result], inputs: Iterable[Input]) -> Iterator[Result]:
    """Results of `work` in the order of the inputs; a thread works on the next one meanwhile.

    It saves time where `work` releases the interpreter lock, as fast tokenizers do, and a core is free.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(1) as thread:
        for value in inputs:
            waiting.append(thread.submit(work, value))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
