"""Language parts: the language's own part of the vectors, fitted on the catalogue's texts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
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

_Sums = dict[str, tuple[int, NDArray[np.int64]]]


def language_sums(texts: DataFrame, embeddings: DataFrame, fingerprint: str) -> DataFrame:
    """One row per known language that has vectors (schema `SUMS`), the same to the bit whatever the partitions.

    Args:
        texts: `tables.TEXTS`; a text of several items counts for each.
        embeddings: `tables.EMBEDDINGS`.
        fingerprint: of the encoder.
    """
    known = embeddings.where(F.col("fingerprint") == fingerprint).select("text_hash", "vector")
    stated = texts.where(F.col("language") != UNKNOWN_LANGUAGE)
    rows = stated.select("language", "text_hash").join(known, "text_hash").select("language", "vector")
    return rows.mapInArrow(_sums_of_vectors, SUMS).repartition("language").mapInArrow(_sums_of_sums, SUMS)


def _sums_of_vectors(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Sums of one partition's (language, vector)."""
    sums_by_language: _Sums = {}
    for batch in batches:
        if not batch.num_rows:
            continue
        tags, rows = np.unique(np.array(batch.column("language").to_pylist(), dtype=object), return_inverse=True)
        column = batch.column("vector")
        vectors = decode_vectors(column, len(column[0].as_py()) // 4)
        counts, sums = fixed_sums(vectors, rows, len(tags))
        for tag, n_texts, part in zip(tags, counts.tolist(), sums, strict=True):
            _put(sums_by_language, str(tag), n_texts, part)
    return _batches(sums_by_language)


def _sums_of_sums(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Sums of partial sums; all those of a language are in one partition."""
    sums_by_language: _Sums = {}
    for batch in batches:
        for row in batch.to_pylist():
            _put(sums_by_language, row["language"], row["n_texts"], np.frombuffer(row["sums"], dtype=_WHOLE))
    return _batches(sums_by_language)


def _put(sums_by_language: _Sums, tag: str, n_texts: int, sums: NDArray[np.int64]) -> None:
    before, so_far = sums_by_language.get(tag, (0, np.int64(0)))
    sums_by_language[tag] = before + n_texts, np.asarray(so_far + sums)


def _batches(sums_by_language: _Sums) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    if sums_by_language:
        rows = [
            {"language": tag, "n_texts": n, "sums": sums.astype(_WHOLE).tobytes()}
            for tag, (n, sums) in sums_by_language.items()
        ]
        kinds: dict[str, pa.DataType] = {"language": pa.string(), "n_texts": pa.int64(), "sums": pa.binary()}
        yield pa.RecordBatch.from_pylist(rows, pa.schema(kinds))


def fit_rows(sums: Sequence[Row], config: NeutralConfig, fingerprint: str) -> list[dict[str, Any]]:
    """The fit as rows of `tables.LANGUAGE_PARTS`; none for no sums. `neutral_of` is its inverse.

    Args:
        sums: rows of `language_sums`, as many as there are languages.
        config: number of directions, and shrinkage of the means.
        fingerprint: of the encoder.
    """
    if not sums:
        return []
    ordered = sorted(sums, key=lambda row: str(row["language"]))
    counts = np.array([row["n_texts"] for row in ordered], dtype=np.int64)
    totals = np.stack([np.frombuffer(row["sums"], dtype=_WHOLE) for row in ordered])
    offsets, directions = fit_language_offsets(
        counts, totals, min_texts=config.min_texts, prior_texts=config.prior_texts, n_directions=config.directions
    )
    neutral = LanguageOffsets(tuple(str(row["language"]) for row in ordered), offsets, directions)
    whose: dict[str, Any] = {"fingerprint": fingerprint, "neutral": neutral.fingerprint}
    tags, n_texts = [*neutral.languages, None], [*counts.tolist(), None]
    offset_rows = [
        whose | {"kind": OFFSET, "language": tags[i], "number": i, "n_texts": n_texts[i], "vector": vector}
        for i, vector in enumerate(vector_bytes(offsets))
    ]
    return offset_rows + [
        whose | {"kind": DIRECTION, "language": None, "number": i, "n_texts": None, "vector": vector}
        for i, vector in enumerate(vector_bytes(directions))
    ]


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
