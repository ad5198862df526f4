"""What a night may delete once it is released: files beside the tables that no later night reads."""

import shutil
from pathlib import Path

from xlrec.pipeline.run import INDEXES


def tidy(lake: str, n_kept: int) -> int:
    """Deletes all but the newest runs' item indexes; how many folders went.

    Tables, models and reports stay. A folder that cannot be deleted is left for the next night.

    Args:
        lake: Folder of the lake.
        n_kept: Runs that stay, at least 1.
    """
    below = Path(lake) / INDEXES
    folders = [path for path in below.iterdir() if path.is_dir()] if below.is_dir() else []
    newest = sorted(folders, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
    for path in newest[n_kept:]:
        shutil.rmtree(path, ignore_errors=True)
    return sum(not path.exists() for path in newest[n_kept:])
