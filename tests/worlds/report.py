"""A report as a night gives it: many scripts, several systems, a hostile title."""

from datetime import UTC, date, datetime

from xlrec.reporting.data import (
    Header,
    LanguageRow,
    Listed,
    Lists,
    MarketRow,
    MetricRow,
    Metrics,
    QualityRow,
    Read,
    RejectRow,
    Release,
    ReportData,
    SourceRow,
    UserList,
    masked_label,
)
from xlrec.runtime.progress import StageSummary
from xlrec.stages.audit import Verdict
from xlrec.stages.prepare.markets import MarketLog
from xlrec.training.recommender.fusion_weights import Figure

HOSTILE = "<script>alert(\"x\")</script> & 'quotes' <img src=x onerror=alert(1)>"

_HEADER = Header(
    run_id="2026-01-31-7c9e1f02",
    run_date=date(2026, 1, 31),
    status="published",
    lake="build/demo/lake",
    encoder="default, 256 dimensions",
    started_at=datetime(2026, 1, 31, 2, 15, tzinfo=UTC),
    seconds=94.2,
    versions={"xlrec": "0.1.0", "pyspark": "4.1.4", "delta-spark": "4.4.0", "numpy": "2.4.1", "numba": "0.68.0"},
    config_file="conf/demo.yaml",
)
_STAGES = (
    StageSummary("prepare", 61_234, 60_871, 363, 14.2),
    StageSummary("embed", 412, 412, None, 6.1, "412 new texts, 0 from the cache"),
    StageSummary("train", 52_310, 18_420, None, 12.8),
    StageSummary("retrieve", 1_980, 1_980, None, 31.4),
    StageSummary("rank", 1_980, 19_732, None, 17.3),
    StageSummary("audit", None, None, None, 3.2),
    StageSummary("publish", 19_732, 19_732, None, 4.1),
)
_REJECTS = (
    RejectRow("interactions", "duplicate", 240),
    RejectRow("interactions", "unknown_item", 96),
    RejectRow("interactions", "impossible_timestamp", 21),
    RejectRow("catalog", "empty_after_cleaning", 6),
)
_QUALITY = (QualityRow("ja", 12_345, 400, 17, 3, 45, 6, 12_345), QualityRow("und", 8, 8, 0, 0, 0, 0))
_MARKET_LOGS = (
    MarketLog("JP", 900, (("purchase", 1.0),), 0.875, None, None, None,
                 ("purchase is 100 % of its events, elsewhere 12 %",)),
    MarketLog("DE", 6_500, (("view", 0.75), ("rating", 0.25)), 0.12, 0.5, 5.0, 0.48, ()),
    MarketLog("ZZ", 17, (("other", 1.0),), 1.0, None, None, None, ()),
)  # fmt: skip
_PARTS = (
    Figure("", 1_400, None, (0.143, 0.121, 0.098, 0.031, 0.064), ()),
    Figure("new items", 35, None, (0.041, 0.066, 0.0, 0.0, 0.071), ("similar", "texts")),
    Figure("DE", 1_000, (1.0, 16.0, 1.0), (0.152, 0.125, 0.149, 0.029, 0.061), ()),
    Figure("ZZ", 400, (1.0, 0.25, 1.0), (0.118, 0.112, 0.012, 0.034, 0.072), ()),
)
_BARS = (
    Verdict("broken lists", 0, None, 0.0, "a bug: ranks must run 1..n, items be distinct"),
    Verdict("coverage", 0.998, 0.9, None, "users whose market sells nothing"),
    Verdict("short lists", 0.013, None, 1.0, "markets with few eligible items"),
    Verdict("row drop", 0.0, None, 0.5, "against the live run: is an input incomplete?"),
    Verdict("language drift", 0.041, None, 0.5, "against the live run"),
    Verdict("score drift", 0.62, None, 0.5, "against the live run"),
)
_MARKETS = (("JP", 412), ("DE", 391), ("BR", 340), ("IN", 310), ("FR", 250), ("EG", 180), ("TR", 80), ("ZZ", 17))
_LANGUAGES = (
    ("en", 0.24, 0.21), ("ja", 0.17, 0.19), ("de", 0.13, 0.14), ("pt", 0.12, 0.13), ("hi", 0.10, 0.11),
    ("fr", 0.09, 0.08), ("ar", 0.07, 0.08), ("tr", 0.04, 0.04), ("zh-Hant", 0.03, 0.0), ("und", 0.01, 0.02),
)  # fmt: skip
_SYSTEMS = {
    "xlrec": 0.214, "similar": 0.171, "covisited": 0.189, "popular": 0.062, "itemknn": 0.183, "als": 0.142,
}  # fmt: skip
_SCALES = {
    "ndcg": 1.0, "recall": 1.32, "mrr": 1.12, "map": 0.7, "hit_rate": 2.1, "cross_lingual_recall": 0.55,
    "cold_item_recall": 0.3, "coverage": 3.1, "novelty": 21.0, "diversity": 3.4, "language_mix_error": 0.8,
}  # fmt: skip
_SLICES = {
    **{f"market={market}": n for market, n in _MARKETS},
    **{f"language={tag}": int(4000 * read) for tag, _, read in _LANGUAGES if read},
    "history=0": 44, "history=1-2": 210, "history=3-9": 830, "history=10-29": 620, "history=30+": 110,
    "cold_items=no": 1_480, "cold_items=yes": 334,
}  # fmt: skip


def lists() -> Lists:
    sources = (("similar", 6.1), ("covisited", 2.6), ("popular", 0.9), ("fallback", 0.4))
    return Lists(
        markets=tuple(MarketRow(m, n, 10 * n - (3 if m == "TR" else 0), 1 if m == "TR" else 0) for m, n in _MARKETS),
        languages=tuple(LanguageRow(*row) for row in _LANGUAGES),
        sources=tuple(
            SourceRow(market, source, round(n * per_user))
            for i, (market, n) in enumerate(_MARKETS)
            for source, per_user in sources[(2 if market == "ZZ" else 0) :]
            if i != 4 or source != "fallback"
        ),
    )


def metrics() -> Metrics:
    rows = []
    for where, n in {"all": 1_814, **_SLICES}.items():
        width = 0.9 / n**0.5
        for i, (system, ndcg) in enumerate(_SYSTEMS.items()):
            for base, scale in _SCALES.items() if where == "all" else [("ndcg", 1.0)]:
                value = ndcg * scale * (1 + 0.25 * (len(where) % 4 - 1.5) * (where != "all"))
                ahead = _SYSTEMS["xlrec"] * scale - value if i else None
                low, high = (None, None) if base == "coverage" else (value - width * scale, value + width * scale)
                least, most = (None, None) if ahead is None else (ahead - 0.02, ahead + 0.02)
                p = None if ahead is None else 0.0 if ahead > 0.03 else 0.014
                rows.append(MetricRow(system, where, f"{base}@10", value, low, high, n, ahead, least, most, p))
    split = "time: the newest 20 % of the events, after 2026-01-19 07:12 UTC"
    return Metrics(tuple(rows), datetime(2026, 1, 31, 3, 0, tzinfo=UTC), split)


def samples() -> tuple[UserList, ...]:
    return (
        UserList(
            masked_label("u1"), "EG", ("ar", "en"),
            (
                Read("i3", "غلاية قهوة نحاسية يدوية الصنع (500 مل)", "ar"),
                Read("i8", "Pour-over coffee dripper, ceramic", "en"),
                Read("i9", "مطحنة قهوة يدوية", "ar"),
            ),
            (
                Listed(1, "i1", "طقم فناجين قهوة عربية، 6 قطع", "ar", 0.982, "similar",
                       ("غلاية قهوة نحاسية يدوية الصنع (500 مل)",)),
                Listed(2, "i2", "Gooseneck kettle, 0.8 l", "en", 0.931, "covisited",
                       ("Pour-over coffee dripper, ceramic", "مطحنة قهوة يدوية")),
                Listed(3, "i4", "コーヒーミル 手挽き セラミック刃", "ja", 0.702, "similar", ("مطحنة قهوة يدوية",)),
                Listed(4, "i5", HOSTILE, "en", 0.4, "popular"),
                Listed(5, "i6", "सूती योगा मैट", "hi", 0.1, "fallback"),
            ),
            12,
        ),
        UserList(
            masked_label("u2"), "JP", ("ja",),
            (Read("i11", "折りたたみ式キャンプチェア 軽量アルミフレーム", "ja"),
             Read("i12", "ランタン LED 充電式", "ja")),
            (
                Listed(1, "i13", "ステンレス製キャンプ用クッカーセット 4点", "ja", 1.004, "similar",
                       ("折りたたみ式キャンプチェア 軽量アルミフレーム",)),
                Listed(2, "i14", "Ультралёгкая двухместная палатка", "ru", 0.81, "covisited", ("ランタン LED 充電式",)),
                Listed(3, "i15", "पोर्टेबल सोलर चार्जर", "hi", 0.66, "similar", ("ランタン LED 充電式",)),
            ),
        ),
        UserList(
            masked_label("u3"), "ZZ", (), (), (Listed(1, "i6", "Wasserkocher aus Edelstahl", "de", 0.2, "popular"),)
        ),
    )  # fmt: skip


def report() -> ReportData:
    release = Release(17, 19_732, 1_984, 1_980, 26, 10, _BARS, "2026-01-30-51b0a7de", 19_655, "19732-9187340117229")
    return ReportData(
        _HEADER, _STAGES, _REJECTS, _QUALITY, _MARKET_LOGS, _PARTS, release, lists(), metrics(), samples()
    )


def bare() -> ReportData:
    return ReportData(_HEADER)
