"""Numbers, names and sources as a person reads them. Nothing here fails on a missing or non-finite number."""

import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any, Final

from xlrec.kernels.base.names import UNKNOWN_LANGUAGE, UNKNOWN_MARKET

NOTHING: Final = "–"  # shown where there is no number


@cache
def report_words() -> dict[str, Any]:
    """words.json: titles and meanings of metrics, tables, slices, systems, arms; reasons without titles and before."""
    words: dict[str, Any] = json.loads((files("xlrec.reporting") / "templates/words.json").read_text("utf-8"))
    return words


def format_count(value: float | None) -> str:
    """12,345, or a dash."""
    return NOTHING if value is None or not isfinite(value) else f"{round(value):,}"


def format_share(value: float | None) -> str:
    """A share in [0, 1] as percent: 12.3 %, 100 %, under 0.1 %."""
    if value is None or not isfinite(value):
        return NOTHING
    return "< 0.1\u00a0%" if 0 < value < 0.001 else f"{100 * value:.1f}".removesuffix(".0") + "\u00a0%"


def format_score(value: float | None, digits: int = 3) -> str:
    """0.123 with a real minus sign, or a dash."""
    return NOTHING if value is None or not isfinite(value) else f"{value:z.{digits}f}".replace("-", "\u2212")


def format_signed(value: float | None) -> str:
    """+0.012 or −0.012; 0.000 has no sign."""
    text = format_score(value)
    return f"+{text}" if text[0].isdigit() and text.strip("0.") else text


def format_seconds(value: float | None) -> str:
    """16 s, 4 min 05 s, or a dash."""
    from xlrec.runtime.progress import duration_text  # which knows Spark

    return NOTHING if value is None or not isfinite(value) else duration_text(value)


def format_time(value: datetime) -> str:
    """2026-01-31 02:15 UTC; a time without zone is in UTC, as in the lake."""
    return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M UTC")


def format_p_value(value: float | None) -> str:
    """A p value with three decimals; `< 0.001` below."""
    return "< 0.001" if value is not None and value < 0.001 else format_score(value)


def metric_title(name: str) -> str:
    """NDCG@10 of ndcg@10; a name that is not known stays as it is."""
    base, at, k = name.partition("@")
    return f"{report_words()['metrics'].get(base, [base])[0]}{at}{k}"


def metric_meaning(name: str) -> str:
    """The meaning of a metric in a few words; empty where it is not known."""
    return str(report_words()["metrics"].get(name.partition("@")[0], ["", ""])[1])


def system_name(name: str) -> str:
    """A system's name, as the tables show it."""
    return str(report_words()["systems"].get(name, name))


def language_name(tag: str) -> str:
    """A language tag; `unknown` for `und`."""
    return "unknown" if tag == UNKNOWN_LANGUAGE else tag


def market_name(code: str) -> str:
    """A market's code; `unknown` for the unknown market."""
    return "unknown" if code == UNKNOWN_MARKET else code


def reason_text(source: str, with_titles: bool) -> str:
    """Why an item is listed; with titles, the words before them."""
    return str(report_words()["reasons"].get(source, (source, source))[with_titles])


def interval_reading(low: float | None, high: float | None) -> str:
    """Whether the interval of a difference lies above, below or around 0, in words."""
    if low is None or high is None or not (isfinite(low) and isfinite(high)):
        return "no interval"
    return "ahead" if low > 0 else "behind" if high < 0 else "no clear difference"
