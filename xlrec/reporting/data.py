"""Contents of a report: small plain data that the pipeline fills from the lake's tables. No DataFrames, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from xlrec.runtime.progress import StageSummary
    from xlrec.stages.audit import Verdict
    from xlrec.stages.prepare.markets import MarketLog
    from xlrec.training.recommender.fusion_weights import Figure

OURS: Final = "xlrec"  # system whose lists are published; the others are baselines or its single sources
ALL: Final = "all"  # slice that holds all users


@dataclass(frozen=True)
class Header:
    """Identity of a run: its lake, encoder, time and versions."""

    run_id: str
    run_date: date
    status: str  # as in `_runs`: published, rejected, failed, finished, …
    lake: str
    encoder: str  # name and dimension of the encoder: `default, 240 dimensions`
    started_at: datetime
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)
    config_file: str = "CONFIG"  # put into the commands that the report suggests


class RejectRow(NamedTuple):
    """Number of rows of one input that one rule rejected."""

    input: str
    rule: str
    rows: int


class QualityRow(NamedTuple):
    """Counts of unusable texts of one language."""

    language: str
    texts: int
    checked: int  # size of the sample in which `cut` and `other_language` are counted
    cut: int  # texts at least as long as the encoder's limit
    other_language: int  # texts that are surely in another of the catalogue's languages than stated
    mute: int  # texts shared by so many items that they are not used
    empty: int  # catalogue rows without a title once cleaned; rejected
    untrained: int = 0  # texts, all of them if the encoder was not trained on the language


class Release(NamedTuple):
    """The new lists, with their number where they were released, beside those that were live before."""

    number: int | None
    rows: int
    users: int  # users who should get a list
    users_with_list: int
    short_lists: int
    k: int
    bars: tuple["Verdict", ...]
    live_run_id: str | None = None
    live_rows: int | None = None
    content_hash: str | None = None


class MarketRow(NamedTuple):
    """Lists of one market."""

    market: str
    users: int
    rows: int
    short_lists: int


class LanguageRow(NamedTuple):
    """Shares in [0, 1] of one language: among the rows of all lists, and in what users read (mean of their weights)."""

    language: str
    listed: float
    read: float


class SourceRow(NamedTuple):
    """Rows of one source in the lists of one market."""

    market: str
    source: str
    rows: int


@dataclass(frozen=True)
class Lists:
    """Composition of the lists by market, language and source."""

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
    """Figures of one evaluation, and its split into history and holdout."""

    rows: tuple[MetricRow, ...]
    evaluated_at: datetime
    split: str
    cutoff: int = 10  # k of the figures in the report


class Listed(NamedTuple):
    """One row of a user's list, with texts."""

    rank: int
    item_id: str
    title: str
    language: str
    score: float
    source: str
    because: tuple[str, ...] = ()  # titles of the history items that the reason names


class Read(NamedTuple):
    """One item of a user's history."""

    item_id: str
    title: str
    language: str


class UserList(NamedTuple):
    """One user's history and list."""

    label: str  # `masked(user_id)` in reports; the id itself only where the operator asked for this user
    market: str
    languages: tuple[str, ...]
    history: tuple[Read, ...]
    items: tuple[Listed, ...]
    n_history: int | None = None  # distinct items in the whole history, where `history` shows the newest only


@dataclass(frozen=True)
class ReportData:
    """Contents of one report; a section that is None or empty names the command that fills it."""

    header: Header
    stages: tuple["StageSummary", ...] = ()
    rejects: tuple[RejectRow, ...] | None = None
    quality: tuple[QualityRow, ...] = ()
    market_logs: tuple["MarketLog", ...] = ()  # markets that disagree with the others first
    parts: tuple["Figure", ...] = ()  # of all markets, of new items, then of each market
    release: Release | None = None
    lists: Lists | None = None
    metrics: Metrics | None = None
    samples: tuple[UserList, ...] = ()


def masked_label(user_id: str) -> str:
    """A user's label from a hash of the id, the same in every report: `user 3f9a1c`."""
    return f"user {sha256(user_id.encode()).hexdigest()[:6]}"
