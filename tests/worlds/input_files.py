"""A small catalogue and log as Parquet files of several row groups and folders, and their config."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xlrec.config.models import Config


def write_parquet(path: Path, columns: dict[str, Any], rows_per_group: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)


def planned_config(folder: Path, n_users: int = 30, **more: Any) -> Config:
    """Three items with two texts each; user u has 1 + u % 7 events, of which every other is of the first item."""
    names = [f"i{num}" for num in range(3)]
    texts: dict[str, Any] = {
        "item_id": names * 2, "title": ["abc"] * 6, "description": ["def", None] * 3,
        "language": ["en"] * 3 + ["de", "fr", None], "markets": [["DE"], None, ["FR", "DE"]] * 2,
    }  # fmt: skip
    write_parquet(folder / "catalog" / "a.parquet", texts)
    users = [f"u{user}" for user in range(n_users) for _ in range(1 + user % 7)]
    items = [names[(place % 2) * (place % 3)] for user in range(n_users) for place in range(1 + user % 7)]
    half = len(users) // 2
    for day, rows in (("d=1", slice(None, half)), ("d=2", slice(half, None))):
        write_parquet(folder / "log" / day / "a.parquet", {"user_id": users[rows], "item_id": items[rows]}, 16)
    write_parquet(folder / "users.parquet", {"user_id": [f"u{user}" for user in range(n_users + 5)]})
    (folder / "log" / "_SUCCESS").write_text("")
    write_parquet(folder / "log" / "_old" / "a.parquet", {"user_id": ["x"], "item_id": ["x"]})
    where = {"catalog": folder / "catalog", "interactions": folder / "log", "users": folder / "users.parquet"}
    tree = {"lake": str(folder / "lake"), "inputs": {name: str(path) for name, path in where.items()}, **more}
    return Config.model_validate(tree)
