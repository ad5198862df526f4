"""Markets whose logs disagree with the others': another mix of events, or ratings on another scale."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.config.models import PrepareConfig
from xlrec.stages.prepare.ratings import STARS, THUMBS, is_rated

#: Kinds of events that `event_weights` does not name, together: they all have the default weight.
OTHER: Final = "other"
#: Fewest events of a market whose mix is compared: that of fewer is chance.
MIN_EVENTS: Final = 100
#: A mix of events further than this from that of all others together disagrees (total variation distance).
MAX_DISTANCE: Final = 0.5


class MarketLog(NamedTuple):
    """Event mix and rating scale of one market."""

    market: str
    n_events: int
    mix: tuple[tuple[str, float], ...]
    """Kinds of events and their shares, the largest first."""
    distance: float | None
    """Total variation distance to the mix of all other markets together, in [0, 1]; None where there are none."""
    low: float | None
    """Lowest rating; None where nothing is rated."""
    high: float | None
    positive: float | None
    """Share of the ratings that count as a preference."""
    disagreements: tuple[str, ...]
    """Disagreements with the other markets, in words; empty for none, or with too few events."""


def logs_by_market(events: DataFrame, config: PrepareConfig) -> DataFrame:
    """A row per market and kind of event: market, kind, n, n_rated, low, high, n_positive; the config's kinds."""
    named = {*config.event_weights, *config.rating_events}
    kind = F.when(F.col("event").isin(*sorted(named)), F.col("event")).otherwise(OTHER)
    rating = is_rated(config)
    value = F.when(rating, F.col("value"))
    return events.groupBy("market", kind.alias("kind")).agg(
        F.count("*").alias("n"),
        F.count_if(rating).alias("n_rated"),
        F.min(value).alias("low"),
        F.max(value).alias("high"),
        F.count_if(rating & (F.col("weight") > 0)).alias("n_positive"),
    )


def compare_markets(rows: Iterable[Mapping[str, Any]], max_distance: float = MAX_DISTANCE) -> tuple[MarketLog, ...]:
    """All markets, those that disagree first, then by events; ties by name.

    A scale is thumbs, stars or wider (`ratings`), by the highest value. It disagrees where most ratings of that kind,
    over all markets, are on another scale. A mix disagrees over `max_distance` (total variation distance).
    """
    by_market, whole = defaultdict[str, list[Mapping[str, Any]]](list), Counter[str]()
    ordered = sorted(rows, key=lambda row: (row["market"], row["kind"]))
    for row in ordered:
        by_market[row["market"]].append(row)
        whole[row["kind"]] += row["n"]
    usual = _usual_scales(ordered)
    logs = [_compared(market, parts, whole, usual, max_distance) for market, parts in by_market.items()]
    return tuple(sorted(logs, key=lambda log: (not log.disagreements, -log.n_events, log.market)))


def _compared(
    market: str, parts: Sequence[Mapping[str, Any]], whole: Counter[str], usual: dict[str, str], max_distance: float
) -> MarketLog:
    mine = Counter({row["kind"]: row["n"] for row in parts})
    others = whole - mine
    n_mine, n_others, n_rated = mine.total(), others.total(), sum(row["n_rated"] for row in parts)
    mix = tuple((kind, n / n_mine) for kind, n in sorted(mine.items(), key=lambda pair: (-pair[1], pair[0])))
    gaps = {kind: mine[kind] / n_mine - others[kind] / n_others for kind in sorted(whole)} if n_others else {}
    distance = sum(abs(gap) for gap in gaps.values()) / 2 if n_others else None
    said = []
    if n_mine >= MIN_EVENTS:
        if distance is not None and distance > max_distance:
            kind = max(gaps, key=lambda name: gaps[name])
            share, elsewhere = mine[kind] / n_mine, others[kind] / n_others
            said.append(f"{kind} is {100 * share:.0f} % of its events, elsewhere {100 * elsewhere:.0f} %")
        said += [
            f"its {row['kind']} values go from {row['low']:g} to {row['high']:g}, elsewhere mostly {usual[row['kind']]}"
            for row in parts
            if row["n_rated"] and _scale(row["high"]) != usual[row["kind"]]
        ]
    rated_parts = [row for row in parts if row["n_rated"]]
    return MarketLog(
        market, n_mine, mix, distance,
        min((row["low"] for row in rated_parts), default=None),
        max((row["high"] for row in rated_parts), default=None),
        sum(row["n_positive"] for row in parts) / n_rated if n_rated else None,
        tuple(said),
    )  # fmt: skip


def _usual_scales(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The scale that most ratings of each kind are on; ties go to the first by name."""
    scales: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row["n_rated"]:
            scales[row["kind"]][_scale(row["high"])] += row["n_rated"]
    return {kind: min(sizes, key=lambda name: (-sizes[name], name)) for kind, sizes in scales.items()}


def _scale(high: float) -> str:
    if high <= THUMBS:
        return f"up to {THUMBS:g}"
    return f"up to {STARS:g}" if high <= STARS else f"above {STARS:g}"
