"""Figures of published lists in the report, against counts by hand."""

from datetime import date

from xlrec.config.models import Config
from xlrec.pipeline.reports import list_figures
from xlrec.reporting.data import LanguageRow, MarketRow, SourceRow
from xlrec.tables import RECOMMENDATIONS, USERS

ROWS = [
    ("JP", "u1", 1, "ja", "similar"), ("JP", "u1", 2, "en", "popular"), ("JP", "u1", 3, "ja", "similar"),
    ("JP", "u2", 1, "ja", "fallback"), ("JP", "u2", 2, "ja", "fallback"),
    ("DE", "u3", 1, "de", "similar"), ("DE", "u3", 2, "de", "similar"), ("DE", "u3", 3, "en", "similar"),
]  # fmt: skip


def test_lists_are_counted_by_market_language_and_source(spark):
    full = [
        ("r", date(2026, 3, 1), market, user, rank, f"i{rank}", 1.0, language, source, (source, []))
        for market, user, rank, language, source in ROWS
    ]
    rows = [("u1", "JP", ["ja", "en"], [0.75, 0.25], True), ("u3", "DE", ["de"], [1.0], True)]
    config = Config.model_validate({"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": 3})
    users = spark.createDataFrame(rows, USERS.schema)
    found = list_figures(spark.createDataFrame(full, RECOMMENDATIONS.schema).repartition(3), users, config)
    assert found.markets == (MarketRow("DE", 1, 3, 0), MarketRow("JP", 2, 5, 1))
    assert found.languages == (
        LanguageRow("ja", 4 / 8, 0.375), LanguageRow("de", 2 / 8, 0.5), LanguageRow("en", 2 / 8, 0.125),
    )  # fmt: skip
    assert found.sources == (
        SourceRow("DE", "similar", 3), SourceRow("JP", "fallback", 2), SourceRow("JP", "popular", 1),
        SourceRow("JP", "similar", 2),
    )  # fmt: skip
