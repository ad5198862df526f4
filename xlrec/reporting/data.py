"""What a report shows: small plain data that the pipeline fills from the lake's tables. No DataFrames, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import Final

#: System whose lists are published; the others are baselines or its single sources.
OURS: Final = "xlrec"
#: Slice that holds all users.
ALL: Final = "all"


@dataclass(frozen=True)
class Header:
    """Which run, of what, with what."""

    run_id: str
    run_date: date
    status: str
    """As in `_runs`: published, rejected, failed, finished, …"""
    lake: str
    encoder: str
    """The encoder as a person names it, such as `default, 256 dimensions`."""
    started_at: datetime
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)
    config_file: str = "CONFIG"
    """Put into the commands that the report suggests."""


@dataclass(frozen=True)
class StageRow:
    """One stage; counts that it has not are None."""

    name: str
    rows_in: int | None
    rows_out: int | None
    rejected: int | None
    seconds: float | None
    note: str = ""


@dataclass(frozen=True)
class RejectRow:
    """Rows of one input that broke one rule."""

    input: str
    rule: str
    rows: int


@dataclass(frozen=True)
class QualityRow:
    """Texts of one language that tell less than they should."""

    language: str
    texts: int
    checked: int
    """Of these texts, the sample that `cut` and `other_language` are counted in."""
    cut: int
    """As long as what the encoder sees of a text, or longer."""
    other_language: int
    """Surely in another of the catalogue's languages than stated."""
    mute: int
    """Texts that so many items share that they tell none apart; not used."""
    empty: int
    """Catalogue rows of which cleaning left no title; rejected."""


@dataclass(frozen=True)
class MarketLogRow:
    """How one market logs; `MarketLogRow(*log)` of a `MarketLog`."""

    market: str
    events: int
    mix: tuple[tuple[str, float], ...]
    """Kinds of events and their shares, the largest first."""
    distance: float | None
    """To the mix of all other markets together, in [0, 1]; None where there are none."""
    low: float | None
    """Lowest rating; None where nothing is rated."""
    high: float | None
    positive: float | None
    """Share of the ratings that count as a preference."""
    said: tuple[str, ...] = ()
    """What disagrees with the other markets."""


@dataclass(frozen=True)
class PartsRow:
    """The list beside its parts on choices that were held out; `PartsRow(*figure)` of a `Figure`."""

    group: str
    """A market, '' for all markets, or what else the choices have in common."""
    users: int
    weights: tuple[float, float, float] | None
    """Of similar, covisited and popular; None for a group over markets."""
    ndcg: tuple[float, ...]
    """NDCG@10 of the list, then of similar, covisited, popular and texts alone."""
    ahead: tuple[str, ...] = ()
    """Parts that are ahead of the list by more than a standard error of the difference."""


@dataclass(frozen=True)
class Bar:
    """One bar of the audit; `Bar(v.name, v.value, v.least, v.most, v.passed, v.advice)` of a `Verdict`."""

    name: str
    value: float
    least: float | None
    most: float | None
    passed: bool
    advice: str = ""


@dataclass(frozen=True)
class Release:
    """The new lists beside the live ones; what there was none of is None."""

    number: int | None
    """Release number of this run; None where it was not released."""
    rows: int
    users: int
    """Users who should get a list."""
    users_with_list: int
    short_lists: int
    k: int
    bars: tuple[Bar, ...]
    live_run_id: str | None = None
    """Run that was live before."""
    live_rows: int | None = None
    live_users: int | None = None
    content_hash: str | None = None


@dataclass(frozen=True)
class MarketRow:
    """Lists of one market."""

    market: str
    users: int
    rows: int
    short_lists: int


@dataclass(frozen=True)
class LanguageRow:
    """Shares in [0, 1] of one language: among the rows of all lists, and in what users read (mean of their weights)."""

    language: str
    listed: float
    read: float


@dataclass(frozen=True)
class SourceRow:
    """Rows of one source in the lists of one market."""

    market: str
    source: str
    rows: int


@dataclass(frozen=True)
class Lists:
    """What the lists are made of."""

    markets: tuple[MarketRow, ...]
    languages: tuple[LanguageRow, ...]
    sources: tuple[SourceRow, ...]


@dataclass(frozen=True)
class MetricRow:
    """A row of table metrics, of the newest evaluation; None where the table has null."""

    system: str
    slice: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n_users: int
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Metrics:
    """One evaluation and how it was made."""

    rows: tuple[MetricRow, ...]
    evaluated_at: datetime
    split: str
    """How history and holdout were cut, as in table metrics."""
    candidates: str = "every item that is available and sold in the user's market, without those the user has seen"
    """Which items a system could list."""
    intervals: str = "95 %, percentiles of a Poisson bootstrap over users; differences are paired by user"
    cutoff: int = 10
    """The k of the figures shown."""


@dataclass(frozen=True)
class Listed:
    """One row of a user's list, with texts."""

    rank: int
    item_id: str
    title: str
    language: str
    score: float
    source: str
    because: tuple[str, ...] = ()
    """Titles of the history items that the reason names."""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """One item of a user's history."""

    item_id: str
    title: str
    language: str
    weight: float | None = None
    """Share in the profile; the history's weights sum to 1."""


@dataclass(frozen=True)
class UserList:
    """One user's history and list."""

    label: str
    """`masked(user_id)` in reports; the id itself only where the operator asked for this user."""
    market: str
    languages: tuple[str, ...]
    history: tuple[Read, ...]
    items: tuple[Listed, ...]
    n_history: int | None = None
    """Distinct items in the whole history, where `history` shows the newest only."""


@dataclass(frozen=True)
class ReportData:
    """Everything one report shows; a section that is None or empty says how to fill it."""

    header: Header
    stages: tuple[StageRow, ...] = ()
    rejects: tuple[RejectRow, ...] | None = None
    quality: tuple[QualityRow, ...] = ()
    market_logs: tuple[MarketLogRow, ...] = ()
    """Those that disagree first."""
    parts: tuple[PartsRow, ...] = ()
    """All markets, new items, then each market."""
    release: Release | None = None
    lists: Lists | None = None
    metrics: Metrics | None = None
    samples: tuple[UserList, ...] = ()


def masked(user_id: str) -> str:
    """A label for a user that does not tell the id, the same in every report: `user 3f9a1c`."""
    return f"user {sha256(user_id.encode()).hexdigest()[:6]}"
