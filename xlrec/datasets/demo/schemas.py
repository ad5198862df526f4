"""Arrow schemas of the demo world's Parquet files; a column's name decides its type."""

from typing import Any, Final

import pyarrow as pa

#: Columns of each type that is no string.
_COLUMNS: Final[dict[Any, str]] = {
    pa.timestamp("us", tz="UTC"): "available_from available_until timestamp",
    pa.list_(pa.string()): "categories follow_ups languages markets",
    pa.list_(pa.float64()): "weights",
    pa.float64(): "quality value",
    pa.bool_(): "opted_out",
}
_TYPES: Final = {name: kind for kind, names in _COLUMNS.items() for name in names.split()}


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
