"""Prepare: the inputs into texts, items, events and users; every unused row goes to rejects."""

from xlrec.kernels.text.detection import language_differs
from xlrec.stages.prepare.catalog import (
    items_of,
    mark_catalog,
    stated_languages,
    texts_of,
    translations_of,
    with_availability,
)
from xlrec.stages.prepare.dates import days_of, default_run_date
from xlrec.stages.prepare.interactions import events_of, mark_interactions
from xlrec.stages.prepare.languages import cleaning_udf
from xlrec.stages.prepare.markets import MarketLog, compare_markets, logs_by_market
from xlrec.stages.prepare.quality import text_sample, texts_by_language
from xlrec.stages.prepare.rules import OPTED_OUT, check_rejected, counts_by_rule, rejects_of, valid_rows
from xlrec.stages.prepare.users import mark_users, no_users, opted_out_of, users_of

__all__ = [
    "OPTED_OUT", "MarketLog", "check_rejected", "cleaning_udf", "compare_markets", "counts_by_rule", "days_of",
    "default_run_date", "events_of", "items_of", "language_differs", "logs_by_market", "mark_catalog",
    "mark_interactions", "mark_users", "no_users", "opted_out_of", "rejects_of", "stated_languages", "text_sample",
    "texts_by_language", "texts_of", "translations_of", "users_of", "valid_rows", "with_availability",
]  # fmt: skip
