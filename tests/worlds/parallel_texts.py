"""A world of two invented languages whose sentences translate word by word."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def invented_words(n: int, letters: str, rng: np.random.Generator) -> list[str]:
    words: set[str] = set()
    while len(words) < n:
        words.add("".join(rng.choice(list(letters), size=6)))
    return sorted(words)


def write_world(folder: Path, n_concepts: int = 1500, n_words: int = 120, split: bool = False, seed: int = 0) -> Path:
    """Parquet of sentences of two to four words in `en` and `xx`; every tenth concept is dev where `split` is set."""
    rng = np.random.default_rng(seed)
    left, right = invented_words(n_words, "abdeilmno", rng), invented_words(n_words, "бгджзклмну", rng)
    rows: dict[str, list[str]] = {name: [] for name in ("concept_id", "language", "text", "source", "licence")}
    for concept in range(n_concepts):
        meant = rng.integers(0, n_words, size=rng.integers(2, 5))
        for language, words in (("en", left), ("xx", right)):
            rows["concept_id"].append(f"c{concept:05d}")
            rows["language"].append(language)
            rows["text"].append(" ".join(words[one] for one in meant))
            rows["source"].append("odd" if concept % 2 else "even")
            rows["licence"].append("GPL-3.0" if concept % 50 == 0 else "MIT")
    if split:
        rows["split"] = ["dev" if int(one[1:]) % 10 == 0 else "train" for one in rows["concept_id"]]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), folder / "world.parquet")
    return folder


def settings(folder: Path, **changes: object) -> dict[str, object]:
    """A config that learns the world in seconds."""
    return {
        "output": str(folder / "model"),
        "work": str(folder / "work"),
        "steps": 120,
        "texts": {"path": str(folder / "texts"), "dev_share": 0.1},
        "vocabulary": {"words": 400, "pieces": 100, "running_pieces": 10, "min_count": 1},
        "static": {"dim": 32, "buckets": 2000, "learning_rate": 0.1},
        "batch": {"pairs": 128, "sources": 2, "joined_share": 0.3, "max_joined": 3},
        "measure": {"every_steps": 60, "candidates": 100, "min_pairs": 20, "languages": ["xx"]},
        **changes,
    }
