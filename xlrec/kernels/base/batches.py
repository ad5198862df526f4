"""Arrow batches as Spark cuts them, recut into blocks of one size."""

from collections.abc import Iterable, Iterator

import pyarrow as pa


def table_blocks(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The rows of batches of any size in tables of `size` rows; the last may be shorter, none is empty."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, size - n_waiting)
            waiting.append(part)
            n_waiting += part.num_rows
            start += part.num_rows
            if n_waiting == size:
                yield pa.Table.from_batches(waiting).combine_chunks()
                waiting, n_waiting = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()
