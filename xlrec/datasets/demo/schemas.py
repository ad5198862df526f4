"""Arrow schemas of the demo world's Parquet files; a column's name decides its type."""

from typing import Any, Final

import pyarrow as pa

_TEXTS: Final = pa.list_(pa.string())
_TIME: Final = pa.timestamp("us", tz="UTC")
#: Types of the columns that are no strings.
_TYPES: Final[dict[str, Any]] = {
    "available_from": _TIME,
    "available_until": _TIME,
    "categories": _TEXTS,
    "follow_ups": _TEXTS,
    "languages": _TEXTS,
    "markets": _TEXTS,
    "opted_out": pa.bool_(),
    "quality": pa.float64(),
    "timestamp": _TIME,
    "value": pa.float64(),
    "weights": pa.list_(pa.float64()),
}


def _schema(*names: str) -> pa.Schema:
    return pa.schema([(name, _TYPES.get(name, pa.string())) for name in names])


CATALOG: Final = _schema(
    "item_id", "title", "description", "language", "categories", "markets", "available_from", "available_until"
)
INTERACTIONS: Final = _schema("user_id", "item_id", "timestamp", "event", "value", "market")
USERS: Final = _schema("user_id", "market", "languages", "opted_out")
TRANSLATIONS: Final = _schema("item_id", "language", "title", "description")
TRUTH_USERS: Final = _schema("user_id", "market", "languages", "categories", "weights")
TRUTH_ITEMS: Final = _schema("item_id", "category", "home_market", "quality", "follow_ups")
