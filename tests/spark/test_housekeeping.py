"""Which files a released night deletes."""

from pathlib import Path
from typing import TYPE_CHECKING

from xlrec.lake.delta import Lake
from xlrec.pipeline.housekeeping import delete_old_indexes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_the_newest_runs_keep_their_index_and_everything_else_stays(spark: "SparkSession", tmp_path: Path) -> None:
    runs = ["2026-01-01.2", "2026-01-01.10", "2025-12-31.11"]
    for kind in ("_index", "_models", "recommendations"):
        for run in runs:
            (tmp_path / kind / run).mkdir(parents=True)
            (tmp_path / kind / run / "meta.json").write_text("{}")
    assert delete_old_indexes(Lake(spark, str(tmp_path)), 2) == 1
    left = {kind.name: sorted(path.name for path in kind.iterdir()) for kind in tmp_path.iterdir()}
    whole = sorted(runs)
    assert left == {"_index": ["2026-01-01.10", "2026-01-01.2"], "_models": whole, "recommendations": whole}
    assert delete_old_indexes(Lake(spark, str(tmp_path)), 2) == 0
    assert delete_old_indexes(Lake(spark, str(tmp_path / "none")), 1) == 0
