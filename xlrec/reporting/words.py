"""Numbers, names and sources as a person reads them. Nothing here fails on a missing or non-finite number."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Final

from xlrec.kernels.base.names import UNKNOWN_LANGUAGE, UNKNOWN_MARKET

_RULES: Final = {
    "bad_cast": "values of the layout's type",
    "missing_item_id": "an item_id",
    "missing_user_id": "a user_id",
    "missing_timestamp": "a timestamp",
    "missing_title": "a title",
    "empty_after_cleaning": "a title that is more than mark-up and blanks",
    "bad_availability": "available_until after available_from",
    "duplicate_text": "one row per item and language",
    "impossible_timestamp": "from 1990 until before the run's date",
    "unknown_item": "items that the catalog has a valid row of",
    "duplicate": "one event per user, item, event and timestamp",
    "bot": "at most prepare.max_events_per_user_day events of a user on one day",
    "duplicate_user": "one row per user",
}
#: Shown where there is no number.
NOTHING: Final = "–"

_METRICS: Final = {
    "ndcg": "NDCG",
    "recall": "Recall",
    "mrr": "MRR",
    "map": "MAP",
    "hit_rate": "Hit rate",
    "cross_lingual_recall": "Cross-lingual recall",
    "cold_item_recall": "Cold-item recall",
    "coverage": "Coverage",
    "novelty": "Novelty",
    "diversity": "Diversity",
    "language_mix_error": "Language mix error",
}
#: Metrics of which less is better.
LOWER_IS_BETTER: Final = frozenset({"language_mix_error"})
#: Metrics that describe lists without being better when higher: nothing is marked best in them.
DESCRIPTIVE: Final = frozenset({"novelty", "diversity"})
_EXPLAINED: Final = {
    "ndcg": "hits, weighted by how high they stand",
    "recall": "share of a user's later choices that the list holds",
    "mrr": "1 over the rank of the first hit",
    "map": "precision at each hit, averaged",
    "hit_rate": "share of users with at least one hit",
    "cross_lingual_recall": "recall of choices in languages that the user's history does not contain",
    "cold_item_recall": "recall of items that nobody had chosen before",
    "coverage": "share of the items on sale that any list holds",
    "novelty": "how little known the listed items are, in bits",
    "diversity": "how unlike one another a list's items are",
    "language_mix_error": "distance between the list's languages and those the user reads; less is better",
}
_SYSTEMS: Final = {
    "xlrec": "xlrec",
    "popular": "Most popular",
    "itemknn": "ItemKNN",
    "als": "ALS",
    "similar": "Learnt only",
    "text": "Texts only",
    "texts": "Texts only",
    "covisited": "Co-visited only",
}
_SOURCES: Final = {
    "similar": "goes with",
    "covisited": "often chosen with",
    "popular": "popular, and near",
    "fallback": "fills the list, near",
}
_ALONE: Final = {
    "similar": "goes with the history",
    "covisited": "often chosen with the history",
    "popular": "popular in this market",
    "fallback": "fills the list: popular in this market",
}


def integer(value: float | None) -> str:
    """12,345, or a dash."""
    return NOTHING if value is None or not isfinite(value) else f"{round(value):,}"


def share(value: float | None) -> str:
    """A share in [0, 1] as percent: 12.3 %, 100 %, under 0.1 %."""
    if value is None or not isfinite(value):
        return NOTHING
    if 0 < value < 0.001:
        return "< 0.1\u00a0%"
    text = f"{100 * value:.1f}"
    return f"{text.removesuffix('.0')}\u00a0%"


def score(value: float | None, digits: int = 3) -> str:
    """0.123 with a real minus sign, or a dash."""
    if value is None or not isfinite(value):
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\u2212")


def signed(value: float | None) -> str:
    """+0.012 or −0.012; 0.000 has no sign."""
    text = score(value)
    return f"+{text}" if value is not None and text[0].isdigit() and float(text) > 0 else text


def seconds(value: float | None) -> str:
    """16 s, 4 min 05 s, or a dash."""
    from xlrec.runtime.progress import duration  # it knows Spark, which names and numbers need not

    return NOTHING if value is None or not isfinite(value) else duration(value)


def moment(value: datetime) -> str:
    """2026-01-31 02:15 UTC; a time without zone is taken for UTC, as in the lake."""
    return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M UTC")


def metric(name: str) -> str:
    """NDCG@10 of ndcg@10; a name that is not known stays as it is."""
    base, at, k = name.partition("@")
    return f"{_METRICS.get(base, base)}{at}{k}"


def explained(name: str) -> str:
    """What a metric measures, in a few words; empty where it is not known."""
    return _EXPLAINED.get(name.partition("@")[0], "")


def system(name: str) -> str:
    """A system's name, as the tables show it."""
    return _SYSTEMS.get(name, name)


def allowed(rule: str) -> str:
    """What a rule of `prepare` allows; empty where it is not known."""
    return _RULES.get(rule, "")


def language(tag: str) -> str:
    """A language tag; unknown where nobody knows it."""
    return "unknown" if tag == UNKNOWN_LANGUAGE else tag


def market(code: str) -> str:
    """A market's code; unknown where nobody knows it."""
    return "unknown" if code == UNKNOWN_MARKET else code


def group(name: str) -> str:
    """Whose choices: a market, all, or what the group is called."""
    return "All markets" if not name else name.capitalize() if " " in name else market(name)


def weights(values: Sequence[float] | None) -> str:
    """1 / 16 / 1, or a dash."""
    return " / ".join(f"{value:g}" for value in values) if values else NOTHING


def mix(parts: Sequence[tuple[str, float]]) -> str:
    """Kinds of events and their shares: view 90 %, purchase 10 %."""
    return ", ".join(f"{kind} {share(part)}" for kind, part in parts)


def scale(low: float | None, high: float | None) -> str:
    """Lowest and highest rating: 0.5 to 5; a dash where nothing is rated."""
    return NOTHING if low is None or high is None else f"{low:g} to {high:g}".replace("-", "\u2212")


def why(name: str, with_titles: bool) -> str:
    """Why an item is listed; with titles, the words that stand before them."""
    if with_titles:
        return _SOURCES.get(name, name)
    return _ALONE.get(name, name)


def reading(low: float | None, high: float | None) -> str:
    """What the interval of a difference says, in words."""
    if low is None or high is None or not (isfinite(low) and isfinite(high)):
        return "no interval"
    return "ahead" if low > 0 else "behind" if high < 0 else "no clear difference"


def p_value(value: float | None) -> str:
    """A p value with two figures; under 0.001 it says so."""
    if value is None or not isfinite(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
