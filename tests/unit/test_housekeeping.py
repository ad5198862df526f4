"""Which files a released night deletes."""

import os
from pathlib import Path

from xlrec.pipeline.housekeeping import tidy


def test_the_newest_runs_keep_their_index_and_everything_else_stays(tmp_path: Path) -> None:
    for kind in ("_index", "_models", "recommendations"):
        for age, run in enumerate(("c", "a", "b")):  # c is the oldest
            folder = tmp_path / kind / run
            folder.mkdir(parents=True)
            (folder / "meta.json").write_text("{}")
            os.utime(folder, ns=(age, age))
    assert tidy(str(tmp_path), 2) == 1
    left = {kind.name: sorted(path.name for path in kind.iterdir()) for kind in tmp_path.iterdir()}
    whole = ["a", "b", "c"]
    assert left == {"_index": ["a", "b"], "_models": whole, "recommendations": whole}
    assert tidy(str(tmp_path), 2) == 0
    assert tidy(str(tmp_path / "none"), 1) == 0
