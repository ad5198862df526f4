"""A planted index of 40 items and users with candidates as retrieve gives them, for tests of lists. No Spark."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from worlds.index_arrays import write_arrays
from xlrec.config.models import Config
from xlrec.index.items import ItemIndex
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.rows import recommendations_of
from xlrec.tables import CANDIDATES

N, DIM = 40, 6
PLAIN: dict[str, Any] = {"diversity": 0, "languages": "any", "near_duplicate": 1}
DAY = datetime.date(2026, 3, 1)
LANGUAGES = [[["de"], ["en"], ["ja"], ["en", "ja"], []][num % 5] for num in range(N)]
CATEGORIES = [[f"c{num % 4}"] for num in range(N)]
POPULAR = [("DE", num, 1 / (1 + num)) for num in range(N)]
PAIRS = [(a, b, 1 / (1 + (a * 7 + b * 3) % 11)) for a in range(N) for b in range(N) if a != b and (a + b) % 3 == 0]


def planted_vectors() -> Any:
    """Item 31 is item 1 under another id, item 32 nearly; item 39 has no text."""
    found = np.random.default_rng(3).normal(size=(N, DIM))
    found[31] = found[1]
    found[32] = found[1] + 0.01
    found[39] = 0
    return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def write_index(path: Path) -> str:
    write_arrays(
        path,
        item_ids=[f"i{num:02d}" for num in range(N)],
        vectors=planted_vectors(),
        languages=LANGUAGES,
        categories=CATEGORIES,
        neighbours=PAIRS,
        popularity=POPULAR,
        shard_rows=7,
    )
    return str(path)


def batch_of(users: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(users, schema=to_arrow_schema(CANDIDATES.schema))


def user(name: str, nums: list[int], **changes: Any) -> dict[str, Any]:
    """A row of candidates: scores fall along nums unless `changes` has others."""
    falling = [1 - 0.5 * place / len(nums) for place in range(len(nums))]
    row = {
        "user_id": name, "market": "DE", "languages": ["en", "ja"], "language_weights": [0.6, 0.4],
        "history": [2, 3], "history_weights": [0.7, 0.3], "item_nums": nums,
        "similar": falling, "covisited": [0.0] * len(nums), "popular": [0.0] * len(nums), "fallback": [],
    }  # fmt: skip
    row |= changes
    return {"attention": row["history_weights"]} | row


def true_user(seed: int) -> dict[str, Any]:
    """A user with scores as retrieve gives them, from loops."""
    rng = np.random.default_rng(seed)
    history = rng.permutation(N - 1)[: rng.integers(1, 6)].tolist()
    weights = rng.dirichlet(np.ones(len(history))).tolist()
    nums = sorted(set(rng.permutation(N)[:25].tolist()) - set(history))
    vectors, table = planted_vectors().astype(float), {(a, b): score for a, b, score in PAIRS}
    profile = sum(w * vectors[h] for w, h in zip(weights, history, strict=True))
    return user(
        f"u{seed:02d}", nums, history=history, history_weights=weights,
        similar=[float(profile @ vectors[i] / np.linalg.norm(profile)) for i in nums],
        covisited=[sum(w * table.get((h, i), 0.0) for w, h in zip(weights, history, strict=True)) for i in nums],
        popular=[1 / (1 + i) for i in nums],
        fallback=[i for i in range(N) if i not in nums and i not in history],
    )  # fmt: skip


def configured(k: int, changes: dict[str, Any]) -> Config:
    return Config.model_validate(
        {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "k": k, "rank": changes}
    )


def ranked(folder: str, users: list[dict[str, Any]], k: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """The rows without Spark, as dictionaries."""
    found = recommendations_of(batch_of(users), Ranker(ItemIndex.open_folder(folder), configured(k, changes)), "r", DAY)
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows
