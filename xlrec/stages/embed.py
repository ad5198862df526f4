"""Embed: vectors of new texts, and mean vectors of items."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from xlrec.config.models import EmbedConfig
from xlrec.encoders import BUILT_IN, Encoder, load
from xlrec.encoders.on_worker import load_on_worker
from xlrec.kernels.base.vectors import decode_vectors, encode_vectors, segment_means, vector_bytes
from xlrec.kernels.text.neutral import LanguageOffsets
from xlrec.runtime import devices
from xlrec.runtime.worker import keep_worker_light
from xlrec.tables import EMBEDDINGS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column

#: Default texts of a task, for a model and for a built-in encoder: starting a task costs some thousand texts' time.
_PER_TASK, _PER_BUILT_IN_TASK = 10_000, 100_000
#: A text shared by more items than this, and by more than the square root of all, identifies none of them.
_FEW_ITEMS: Final = 20
#: Schema of `item_vectors`.
ITEM_VECTORS = "item_num int, vector binary"


def new_texts(texts: DataFrame, embeddings: DataFrame, fingerprint: str) -> DataFrame:
    """Distinct (text_hash, text) of `tables.TEXTS` of which the cache holds no vector of this encoder."""
    known = embeddings.where(F.col("fingerprint") == fingerprint).select("text_hash")
    wanted = texts.select("text_hash", "text").where(F.col("text").isNotNull())
    return wanted.join(known, "text_hash", "left_anti").dropDuplicates(["text_hash"])


def task_device(config: EmbedConfig) -> str:
    """The torch device of this Spark task; see `devices.task_device`."""
    return devices.task_device(config.device, "embed.device")


def _encoder(config_json: str, fingerprint: str | None) -> Encoder:
    config = EmbedConfig.model_validate_json(config_json)

    def loaded(folder: str | None, n_threads: int | None, local_only: bool) -> Encoder:
        device = None if config.encoder in BUILT_IN else task_device(config)
        return load(config.model_copy(update={"folder": folder}), device, n_threads, local_only=local_only)

    return load_on_worker(loaded, config.folder, fingerprint, "embed.encoder")


def embedding_udf(config: EmbedConfig, fingerprint: str | None = None) -> "Callable[[Column], Column]":
    """An iterator pandas UDF from a string column to vectors (dim little-endian float32 as binary); null stays null.

    Each Python worker loads the encoder once. With a fingerprint, one that has another model fails.
    """
    config_json = config.model_dump_json()

    def vectors(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        keep_worker_light()
        encoder = _encoder(config_json, fingerprint)
        for texts in batches:
            present = texts.notna()
            encoded = pd.Series([None] * len(texts), index=texts.index, dtype=object)
            encoded[present] = vector_bytes(encoder.encode(texts[present].tolist()))
            yield encoded

    make: Any = pandas_udf  # its stubs know no iterator UDF without a deprecated number
    return cast("Callable[[Column], Column]", make(vectors, "binary"))


def task_count(n_texts: int, config: EmbedConfig, n_cores: int) -> int:
    """Number of tasks of about `texts_per_task`; by default fewer for a built-in encoder, but one for every core."""
    if config.texts_per_task or config.encoder not in BUILT_IN:
        return max(1, -(-n_texts // (config.texts_per_task or _PER_TASK)))
    return max(1, -(-n_texts // _PER_BUILT_IN_TASK), min(n_cores, -(-n_texts // _PER_TASK)))


def embed(new_texts: DataFrame, config: EmbedConfig, fingerprint: str, *, n_texts: int) -> DataFrame:
    """Vectors of the new texts, as rows of `tables.EMBEDDINGS`.

    New texts are n_texts rows (text_hash, text), each hash once; the fingerprint is the encoder's.
    """
    n_tasks = task_count(n_texts, config, new_texts.sparkSession.sparkContext.defaultParallelism)
    config_json = config.model_dump_json()

    def embedded(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        keep_worker_light()
        encoder = _encoder(config_json, fingerprint)
        for batch in batches:
            vectors = encode_vectors(encoder.encode(cast("list[str]", batch.column("text").to_pylist())))
            columns = [batch.column("text_hash"), pa.repeat(fingerprint, batch.num_rows), vectors]
            yield pa.RecordBatch.from_arrays(columns, EMBEDDINGS.schema.names)

    # Sorted by content, batches are the same whatever came before.
    tasks = new_texts.repartition(n_tasks, "text_hash").sortWithinPartitions("text_hash")
    device = "cpu" if config.encoder in BUILT_IN else config.device
    profile = devices.gpu_profile(new_texts.sparkSession, device)
    return tasks.select("text_hash", "text").mapInArrow(embedded, EMBEDDINGS.schema, profile=profile)


def _mean_batches(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """(item_num, vector) of (item_num, …, vector) sorted by item; an item may run on into the next batch."""
    import pyarrow as pa

    def means(rows: pa.Table) -> pa.RecordBatch:
        nums = rows.column("item_num").to_numpy()
        starts = np.append(np.flatnonzero(np.diff(nums, prepend=nums[0] - 1)), len(nums)).astype(np.int64)
        column = rows.column("vector").combine_chunks()
        vectors = decode_vectors(column, len(column[0].as_py()) // 4)
        averaged = encode_vectors(segment_means(vectors, starts))
        return pa.RecordBatch.from_arrays([pa.array(nums[starts[:-1]], pa.int32()), averaged], ["item_num", "vector"])

    held: pa.Table | None = None  # rows of the last item so far
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        rows = rows if held is None else pa.concat_tables([held, rows])
        if not len(rows):
            continue
        nums = rows.column("item_num").to_numpy()
        last = int(np.searchsorted(nums, nums[-1]))
        if last:
            yield means(rows.slice(0, last))
        held = rows.slice(last)
    if held is not None:
        yield means(held)


def _without_language(batches: "Iterable[pa.RecordBatch]", neutral: LanguageOffsets) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    for batch in batches:
        if batch.num_rows:
            vectors = decode_vectors(batch.column("vector"), neutral.offsets.shape[1])
            tags = [str(tag) for tag in batch.column("language").to_pylist()]
            plain = encode_vectors(neutral.taken_out(vectors, tags))
            yield pa.RecordBatch.from_arrays([batch.column("item_num"), plain], ["item_num", "vector"])


def shared_texts(items: DataFrame, texts: DataFrame) -> DataFrame:
    """(text_hash) of texts shared by more than 20 items and by more than the square root of all, such as "no title".

    They would make different items near-duplicates of each other, of which a list holds one.
    """
    most = items.agg(F.greatest(F.lit(float(_FEW_ITEMS)), F.sqrt(F.count("*"))).alias("most"))
    shared = texts.groupBy("text_hash").agg(F.countDistinct("item_id").alias("n"))
    return shared.crossJoin(F.broadcast(most)).where(F.col("n") > F.col("most")).select("text_hash")


def item_vectors(
    items: DataFrame, texts: DataFrame, embeddings: DataFrame, fingerprint: str, neutral: LanguageOffsets | None = None
) -> DataFrame:
    """(item_num, vector): the mean of the vectors of each item's texts, at unit norm; no row for an item without texts.

    Texts of `shared_texts` do not count. Of every text's vector the language offsets `neutral`, if any, are removed
    first; an item's vectors are summed in the order of language and hash, in float64.
    """
    known = embeddings.where(F.col("fingerprint") == fingerprint).select("text_hash", "vector")
    wanted = texts.select("item_id", "language", "text_hash").join(items.select("item_id", "item_num"), "item_id")
    wanted = wanted.join(F.broadcast(shared_texts(items, texts)), "text_hash", "left_anti")
    rows = wanted.join(known, "text_hash").repartition("item_num")
    rows = rows.sortWithinPartitions("item_num", "language", "text_hash").select("item_num", "language", "vector")

    def means(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        return _mean_batches(batches if neutral is None else _without_language(batches, neutral))

    return rows.mapInArrow(means, ITEM_VECTORS)
