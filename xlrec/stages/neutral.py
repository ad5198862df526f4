"""Language parts: the language's own part of the vectors, fitted on the catalogue's texts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from xlrec.config.models import NeutralConfig
from xlrec.kernels.base.vectors import decode_vectors, vector_bytes
from xlrec.kernels.text.neutral import LanguageOffsets, fit_language_offsets, fixed_sums
from xlrec.tables import UNKNOWN_LANGUAGE

if TYPE_CHECKING:
    import pyarrow as pa

#: Schema of `language_sums`: sums are dim little-endian int64, of `kernels.neutral.fixed_sums`.
SUMS: Final = "language string, n_texts long, sums binary"
#: Kinds of the rows of `tables.LANGUAGE_PARTS`.
OFFSET, DIRECTION = "offset", "direction"
_WHOLE: Final = np.dtype("<i8")


def language_sums(texts: DataFrame, embeddings: DataFrame, fingerprint: str) -> DataFrame:
    """One row per known language that has vectors (schema `SUMS`), the same to the bit whatever the partitions.

    A text of several items counts for each.
    """
    known = embeddings.where(F.col("fingerprint") == fingerprint).select("text_hash", "vector")
    stated = texts.where(F.col("language") != UNKNOWN_LANGUAGE)
    rows = stated.select("language", "text_hash").join(known, "text_hash").select("language", "vector")
    return rows.mapInArrow(_sums_of_vectors, SUMS).groupBy("language").applyInArrow(_sum_of_sums, SUMS)


def _sums_of_vectors(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    for batch in batches:
        if not batch.num_rows:
            continue
        tags, rows = np.unique(np.array(batch.column("language").to_pylist(), dtype=object), return_inverse=True)
        column = batch.column("vector")
        counts, sums = fixed_sums(decode_vectors(column, len(column[0].as_py()) // 4), rows, len(tags))
        columns = [pa.array(tags.tolist()), pa.array(counts), pa.array([row.tobytes() for row in sums])]
        yield pa.RecordBatch.from_arrays(columns, ["language", "n_texts", "sums"])


def _sum_of_sums(partial: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    rows = partial.to_pylist()
    sums = np.sum([np.frombuffer(row["sums"], dtype=_WHOLE) for row in rows], axis=0)
    n_texts = sum(row["n_texts"] for row in rows)
    return pa.Table.from_pylist([{"language": rows[0]["language"], "n_texts": n_texts, "sums": sums.tobytes()}])


def fit_rows(sums: Sequence[Row], config: NeutralConfig, fingerprint: str) -> list[dict[str, Any]]:
    """The fit on `language_sums` as rows of `tables.LANGUAGE_PARTS`, none for no sums; undone by `neutral_of`."""
    if not sums:
        return []
    ordered = sorted(sums, key=lambda row: str(row["language"]))
    counts = np.array([row["n_texts"] for row in ordered], dtype=np.int64)
    totals = np.stack([np.frombuffer(row["sums"], dtype=_WHOLE) for row in ordered])
    offsets, directions = fit_language_offsets(
        counts, totals, min_texts=config.min_texts, prior_texts=config.prior_texts, n_directions=config.directions
    )
    neutral = LanguageOffsets(tuple(str(row["language"]) for row in ordered), offsets, directions)
    tags, n_texts = [*neutral.languages, None], [*counts.tolist(), None]
    rows = [
        {"kind": OFFSET, "language": tags[i], "number": i, "n_texts": n_texts[i], "vector": vector}
        for i, vector in enumerate(vector_bytes(offsets))
    ] + [
        {"kind": DIRECTION, "language": None, "number": i, "n_texts": None, "vector": vector}
        for i, vector in enumerate(vector_bytes(directions))
    ]
    return [{"fingerprint": fingerprint, "neutral": neutral.fingerprint, **row} for row in rows]


def neutral_of(rows: Sequence[Row]) -> LanguageOffsets | None:
    """The fit that the rows of one encoder in `tables.LANGUAGE_PARTS` hold; None for no rows."""
    ordered = sorted(rows, key=lambda row: int(row["number"]))
    offsets = [row for row in ordered if row["kind"] == OFFSET]
    if not offsets:
        return None
    directions = [row["vector"] for row in ordered if row["kind"] == DIRECTION]
    dim = len(offsets[0]["vector"]) // 4
    return LanguageOffsets(
        tuple(str(row["language"]) for row in offsets[:-1]),
        np.frombuffer(b"".join(row["vector"] for row in offsets), dtype="<f4").reshape(-1, dim),
        np.frombuffer(b"".join(directions), dtype="<f4").reshape(-1, dim),
    )
