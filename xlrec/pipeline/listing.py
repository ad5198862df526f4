"""Retrieve and rank as one step, for the night and for every system of an evaluation."""

from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from xlrec.config.models import Config
from xlrec.runtime.tasks import TaskMessages
from xlrec.stages.rank import ranking_in_worker
from xlrec.stages.retrieve import NextStage, retrieve_candidates
from xlrec.tables import RECOMMENDATIONS

if TYPE_CHECKING:
    from pyspark import Accumulator


def ranked_lists(
    users: DataFrame,
    events: DataFrame,
    config: Config,
    *,
    index: str,
    run_id: str,
    run_date: date,
    queries: DataFrame | None = None,
    first_passes: "Accumulator[TaskMessages] | None" = None,
) -> DataFrame:
    """`RECOMMENDATIONS` of the users, ranked in the worker that retrieved.

    Arguments are those of `retrieve_candidates` and `rank_candidates`.
    """
    ranked = NextStage(ranking_in_worker(config, index=index, run_id=run_id, run_date=run_date), RECOMMENDATIONS.schema)
    return retrieve_candidates(
        users, events, config, index=index, queries=queries, first_passes=first_passes, next_stage=ranked
    )
