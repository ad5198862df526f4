"""Train: what is learnt from interactions."""

from datetime import date
from typing import TYPE_CHECKING

from xlrec.config import TrainConfig
from xlrec.recommenders import covisitation, popularity

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def train(
    events: "DataFrame", items: "DataFrame", config: TrainConfig, run_date: date
) -> "tuple[DataFrame, DataFrame]":
    """`NEIGHBOURS` and `POPULARITY`.

    Args:
        events: `EVENTS`.
        items: `ITEMS`.
        config: Both models' constants.
        run_date: Ages are counted back from it.
    """
    return (
        covisitation.fit(events, config.covisitation, run_date),
        popularity.fit(events, items, config.popularity, run_date),
    )
