"""A catalogue of two invented languages, one text an item; only what users choose links translations."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worlds.parallel_texts import invented_words


def items(n_meanings: int = 400, n_words: int = 40, seed: int = 0) -> dict[str, list[str]]:
    """item_id, language, text: items `en-7` and `xx-7` mean the same, word by word; no text shows it."""
    rng = np.random.default_rng(seed)
    words = {"en": invented_words(n_words, "abdeilmno", rng), "xx": invented_words(n_words, "бгджзклмну", rng)}
    rows: dict[str, list[str]] = {"item_id": [], "language": [], "text": []}
    for number in range(n_meanings):
        meant = rng.choice(n_words, size=3, replace=False)
        for language, spelled in words.items():
            rows["item_id"].append(f"{language}-{number:04d}")
            rows["language"].append(language)
            rows["text"].append(" ".join(spelled[one] for one in meant))
    return rows


def write_copy(folder: Path, rows: dict[str, list[str]], pairs: list[tuple[str, str]], source: str) -> Path:
    """What Spark writes of a lake: texts and choices."""
    for name in ("texts", "choices"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    n = len(rows["item_id"])
    table = {"concept_id": rows["item_id"], "language": rows["language"], "text": rows["text"]}
    pq.write_table(pa.table({**table, "source": [source] * n, "licence": ["own"] * n}), folder / "texts/a.parquet")
    ids = {"left_id": [one for one, _ in pairs], "right_id": [other for _, other in pairs]}
    pq.write_table(pa.table(ids, pa.schema([(name, pa.string()) for name in ids])), folder / "choices/a.parquet")
    return folder


def settings_of_lake(folder: Path, lake: dict[str, object], **changes: object) -> dict[str, object]:
    """A config that learns the world in seconds from the choices alone."""
    return {
        "output": str(folder / "model"),
        "work": str(folder / "work"),
        "steps": 150,
        "texts": {"lake": {"folder": str(folder / "lake"), **lake}, "dev_share": 0.1},
        "vocabulary": {"words": 200, "pieces": 50, "running_pieces": 10, "min_count": 1},
        "static": {"dim": 32, "buckets": 2000, "learning_rate": 0.1},
        "batch": {"pairs": 128},
        "measure": {"every_steps": 50, "candidates": 100, "min_pairs": 10, "languages": ["en", "xx"]},
        **changes,
    }
