"""Retrieve and rank as one step, for the night and for every system of an evaluation."""

from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from xlrec.config.models import Config
from xlrec.runtime.tasks import Told
from xlrec.stages.rank import ranking
from xlrec.stages.retrieve import NextStage, retrieve
from xlrec.tables import RECOMMENDATIONS

if TYPE_CHECKING:
    from pyspark import Accumulator


def listed(
    users: DataFrame,
    events: DataFrame,
    config: Config,
    *,
    index: str,
    run_id: str,
    run_date: date,
    queries: DataFrame | None = None,
    first_passes: "Accumulator[Told] | None" = None,
) -> DataFrame:
    """`RECOMMENDATIONS` of the users: ranked in the worker that retrieved; arguments as of `retrieve` and `rank`."""
    ranked = NextStage(ranking(config, index=index, run_id=run_id, run_date=run_date), RECOMMENDATIONS.schema)
    return retrieve(users, events, config, index=index, queries=queries, first_passes=first_passes, next_stage=ranked)
