"""Most similar right rows of every left row, languages and the row itself masked before the top-k."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from xlrec.index.items import ItemIndex
from xlrec.kernels.base.batches import table_blocks
from xlrec.kernels.base.vectors import decode_vectors
from xlrec.kernels.search.items import ITEM_BLOCK
from xlrec.kernels.search.pairs import pair_mask
from xlrec.kernels.search.topk import Mask, prepare_items, top_k
from xlrec.runtime.files import local_path
from xlrec.runtime.first_pass import first_pass_for
from xlrec.runtime.tasks import spread_by_hash
from xlrec.similarity.languages import language_words
from xlrec.tables import SIMILARITIES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LEFT_BLOCK: Final = 1024  # left rows per matrix product; bounds memory, never changes a result


def similar_pairs(left: "DataFrame", k: int, *, index: str, min_score: float, other_language_only: bool) -> "DataFrame":
    """`SIMILARITIES`: at most k rows for each left row, the same however left is cut.

    Args:
        left: (id, language, vector float32[dim] as binary of unit norm, num): num is the row of the index that is this
            row itself, null where it is none.
        k: At least 1.
        index: The `ItemIndex` of the right rows, as `share_with_workers` names it; its categories hold the one
            language of each row, its languages the same where it is known.
        min_score: Pairs below it are left out.
        other_language_only: Only pairs whose two languages are known and differ.

    Raises:
        LakeError: In the worker: no index in the folder.
        ValueError: In the worker: a vector is null or of another dimension.
    """

    def search(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        items = ItemIndex.open_folder(local_path(index))
        pair_search = PairSearch(items, k, min_score, other_language_only, ITEM_BLOCK)
        for block in table_blocks(batches, _LEFT_BLOCK):
            yield from pair_search.pairs_of(block).to_batches()

    rows = left.select("id", "language", "vector", "num")
    return spread_by_hash(rows, "id").mapInArrow(search, SIMILARITIES.schema)


class PairSearch:
    """Search of blocks of left rows on one index, without Spark."""

    def __init__(self, index: ItemIndex, k: int, min_score: float, other_language_only: bool, right_block: int) -> None:
        self.index, self.k, self.min_score = index, k, min_score
        self.other_language_only, self.ids = other_language_only, index.item_ids
        path, norms = first_pass_for(index.shards, index.norms), np.asarray(index.norms)
        self.items = prepare_items(index.shards, norms=norms, path=path, item_block=right_block)
        self.codes = np.asarray(index.category_csr[1])

    def pairs_of(self, left: pa.Table) -> pa.Table:
        """A block of left rows as `SIMILARITIES`, in the same order."""
        queries = decode_vectors(left["vector"], self.index.dim)
        nums, scores = top_k(queries, self.items, self.k, self._mask(left), user_block=max(1, len(queries)))
        cosines = np.clip(scores, -1.0, 1.0)
        kept = (nums >= 0) & (cosines >= self.min_score)
        rows, places = np.nonzero(kept)
        right = nums[kept]
        left_rows: Any = pa.array(rows)
        columns: tuple[Any, ...] = (
            left["id"].take(left_rows),
            self.ids.take(pa.array(right, pa.int32())),
            pa.array(places + 1, pa.int32()),
            pa.array(cosines[kept]),
            left["language"].take(left_rows),
            pa.array(self.index.categories, pa.string()).take(pa.array(self.codes[right], pa.int64())),
        )
        return pa.table(dict(zip(SIMILARITIES.schema.names, columns, strict=True)))

    def _mask(self, left: pa.Table) -> Mask:
        own = left["num"].to_numpy() if not left["num"].null_count else None
        tags = [str(tag) for tag in left["language"].to_pylist()]
        others = language_words(tags, self.index.languages) if self.other_language_only else None
        return pair_mask(left.num_rows, np.asarray(self.index.language_bits), others, own)
