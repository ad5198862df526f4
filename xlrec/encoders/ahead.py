"""Work that goes on in another thread while its last result is being used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

One = TypeVar("One")
Found = TypeVar("Found")


def ahead(work: Callable[[One], Found], inputs: Iterable[One]) -> Iterator[Found]:
    """`work` of each input in their order; while one result is used, a thread works on the next.

    It gains where `work` leaves the interpreter to others, as fast tokenizers do, and where a core is free.
    """
    waiting: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(1) as thread:
        for one in inputs:
            waiting.append(thread.submit(work, one))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
