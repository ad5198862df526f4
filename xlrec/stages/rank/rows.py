"""Rank: from each user's candidates to a list of k rows with reasons."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from xlrec.config.models import Config
from xlrec.index.items import ItemIndex
from xlrec.kernels.base.csr import indptr_of, owners_of
from xlrec.runtime.files import local_path
from xlrec.stages.rank.lists import KINDS, Ranker
from xlrec.stages.rank.users import users_of
from xlrec.tables import CANDIDATES, RECOMMENDATIONS, UNKNOWN_LANGUAGE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Users whose rows make one output batch; bounds memory, never changes a result.
_SLICE: Final = 1024
Ranking = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def rank_candidates(candidates: "DataFrame", config: Config, *, index: str, run_id: str, run_date: date) -> "DataFrame":
    """`RECOMMENDATIONS`: k rows a user, fewer only where the candidates and the fallback together are fewer.

    `score` is the sum of weight_s · score_s by `rank.weights`, or by the learnt weights of the market, or the score of
    the row before where that is less: the order by `rank` is the greedy's (score, diversity, languages and caps
    together), and readers find a score that falls along it. A `fallback` item, scored by no other source, has its
    popularity's term alone. `source` and `reason.kind` name the largest term, ties in the order of `SOURCES`;
    `fallback` where no term is positive. `because` holds the history items with the largest positive terms in that
    source's score, none where popularity or the fallback is the reason.

    `candidates` have one row a user; columns of sources with weight 0 may be null. `index` is as
    `Files.share_with_workers` names it.

    Raises:
        LakeError: In the worker: arrays of a row that do not fit together, or no index.
    """
    ranked = ranking_in_worker(config, index=index, run_id=run_id, run_date=run_date)
    return candidates.select(*CANDIDATES.schema.names).mapInArrow(ranked, RECOMMENDATIONS.schema)


def ranking_in_worker(config: Config, *, index: str, run_id: str, run_date: date) -> Ranking:
    """`rank_candidates` in a worker: from batches of `CANDIDATES` to batches of `RECOMMENDATIONS`."""

    def ranked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        ranker = Ranker(ItemIndex.open_folder(local_path(index)), config)
        for batch in batches:
            for start in range(0, batch.num_rows, _SLICE):
                yield recommendations_of(batch.slice(start, _SLICE), ranker, run_id, run_date)

    return ranked


def recommendations_of(batch: pa.RecordBatch, ranker: Ranker, run_id: str, run_date: date) -> pa.RecordBatch:
    """The users of a `CANDIDATES` batch as a `RECOMMENDATIONS` batch, in the same order."""
    one = ranker.lists_of(users_of(batch, ranker.weights.max(axis=0)))
    owners = owners_of(one.indptr)
    users = pa.array(owners, pa.int64())
    ids, languages = ranker.index.item_ids, pa.array([*ranker.index.languages, UNKNOWN_LANGUAGE], pa.string())
    shown = pa.array(np.where(one.shown < 0, len(languages) - 1, one.shown), pa.int64())
    kind = pa.array(KINDS, pa.string()).take(pa.array(one.kinds, pa.int64()))
    named = one.because >= 0
    ends = pa.array(indptr_of(named.sum(axis=1)), pa.int32())
    because = pa.ListArray.from_arrays(ends, ids.take(pa.array(one.because[named], pa.int64())))
    columns: dict[str, Any] = {
        "run_id": pa.repeat(run_id, len(users)),
        "run_date": pa.repeat(pa.scalar(run_date, pa.date32()), len(users)),
        "market": batch.column("market").take(users),
        "user_id": batch.column("user_id").take(users),
        "rank": pa.array(np.arange(len(owners)) - one.indptr[owners] + 1, pa.int32()),
        "item_id": ids.take(pa.array(one.nums, pa.int32())),
        "score": pa.array(one.scores, pa.float64()),
        "item_language": languages.take(shown),
        "source": kind,
        "reason": pa.StructArray.from_arrays([kind, because], names=["kind", "because"]),
    }
    return pa.RecordBatch.from_pydict({name: columns[name] for name in RECOMMENDATIONS.schema.names})
