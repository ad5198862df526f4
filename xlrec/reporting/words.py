"""Numbers, names and sources as a person reads them. Nothing here fails on a missing or non-finite number."""

from datetime import UTC, datetime
from math import isfinite
from typing import Final

from xlrec.kernels.base.names import UNKNOWN_LANGUAGE, UNKNOWN_MARKET

#: Shown where there is no number.
NOTHING: Final = "–"
#: Metrics of which less is better.
LOWER_IS_BETTER: Final = frozenset({"language_mix_error"})
#: Metrics that describe lists without being better when higher: nothing is marked best in them.
DESCRIPTIVE: Final = frozenset({"novelty", "diversity"})
#: Title and meaning of each metric.
_METRICS: Final = {
    "ndcg": ("NDCG", "hits, weighted by how high they stand"),
    "recall": ("Recall", "share of a user's later choices that the list holds"),
    "mrr": ("MRR", "1 over the rank of the first hit"),
    "map": ("MAP", "precision at each hit, averaged"),
    "hit_rate": ("Hit rate", "share of users with at least one hit"),
    "cross_lingual_recall": (
        "Cross-lingual recall", "recall of choices in languages that the user's history does not contain",
    ),
    "cold_item_recall": ("Cold-item recall", "recall of items that nobody had chosen before"),
    "coverage": ("Coverage", "share of the items on sale that any list holds"),
    "novelty": ("Novelty", "how little known the listed items are, in bits"),
    "diversity": ("Diversity", "how unlike one another a list's items are"),
    "language_mix_error": (
        "Language mix error", "distance between the list's languages and those the user reads; less is better",
    ),
}  # fmt: skip
_SYSTEMS: Final = {
    "popular": "Most popular",
    "itemknn": "ItemKNN",
    "als": "ALS",
    "similar": "Learnt only",
    "text": "Texts only",
    "texts": "Texts only",
    "covisited": "Co-visited only",
}
#: Why an item is listed: before titles of the history, and without them.
_REASONS: Final = {
    "similar": ("goes with", "goes with the history"),
    "covisited": ("often chosen with", "often chosen with the history"),
    "popular": ("popular, and near", "popular in this market"),
    "fallback": ("fills the list, near", "fills the list: popular in this market"),
}


def format_count(value: float | None) -> str:
    """12,345, or a dash."""
    return NOTHING if value is None or not isfinite(value) else f"{round(value):,}"


def format_share(value: float | None) -> str:
    """A share in [0, 1] as percent: 12.3 %, 100 %, under 0.1 %."""
    if value is None or not isfinite(value):
        return NOTHING
    if 0 < value < 0.001:
        return "< 0.1\u00a0%"
    text = f"{100 * value:.1f}"
    return f"{text.removesuffix('.0')}\u00a0%"


def format_score(value: float | None, digits: int = 3) -> str:
    """0.123 with a real minus sign, or a dash."""
    if value is None or not isfinite(value):
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\u2212")


def format_signed(value: float | None) -> str:
    """+0.012 or −0.012; 0.000 has no sign."""
    text = format_score(value)
    return f"+{text}" if value is not None and text[0].isdigit() and float(text) > 0 else text


def format_seconds(value: float | None) -> str:
    """16 s, 4 min 05 s, or a dash."""
    from xlrec.runtime.progress import duration_text  # which knows Spark

    return NOTHING if value is None or not isfinite(value) else duration_text(value)


def format_time(value: datetime) -> str:
    """2026-01-31 02:15 UTC; a time without zone is in UTC, as in the lake."""
    return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M UTC")


def metric_title(name: str) -> str:
    """NDCG@10 of ndcg@10; a name that is not known stays as it is."""
    base, at, k = name.partition("@")
    return f"{_METRICS.get(base, (base, ''))[0]}{at}{k}"


def metric_meaning(name: str) -> str:
    """The meaning of a metric in a few words; empty where it is not known."""
    return _METRICS.get(name.partition("@")[0], ("", ""))[1]


def system_name(name: str) -> str:
    """A system's name, as the tables show it."""
    return _SYSTEMS.get(name, name)


def language_name(tag: str) -> str:
    """A language tag; `unknown` for `und`."""
    return "unknown" if tag == UNKNOWN_LANGUAGE else tag


def market_name(code: str) -> str:
    """A market's code; `unknown` for the unknown market."""
    return "unknown" if code == UNKNOWN_MARKET else code


def reason_text(source: str, with_titles: bool) -> str:
    """Why an item is listed; with titles, the words before them."""
    return _REASONS.get(source, (source, source))[0 if with_titles else 1]


def interval_reading(low: float | None, high: float | None) -> str:
    """Whether the interval of a difference lies above, below or around 0, in words."""
    if low is None or high is None or not (isfinite(low) and isfinite(high)):
        return "no interval"
    return "ahead" if low > 0 else "behind" if high < 0 else "no clear difference"


def format_p_value(value: float | None) -> str:
    """A p value with three decimals; `< 0.001` below."""
    if value is None or not isfinite(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
