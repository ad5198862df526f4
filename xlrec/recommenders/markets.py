"""The markets of a lake."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from xlrec.tables import UNKNOWN_MARKET

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def markets_of(events: "DataFrame", items: "DataFrame") -> "DataFrame":
    """(market), each once: those of events and items, and ZZ.

    Args:
        events: `EVENTS`.
        items: `ITEMS`.
    """
    unknown = events.sparkSession.createDataFrame([(UNKNOWN_MARKET,)], "market string")
    named = events.select("market").union(items.select(F.explode("markets"))).union(unknown)
    return named.where(F.col("market").isNotNull()).distinct()
