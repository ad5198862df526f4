"""What PySpark does in a Python worker between two tasks, made cheap: .3 s a task with torch and numba imported.

After every task it collects garbage, which walks through all that was ever imported, and before the next it makes
imports look at their paths anew, for which Python before 3.13 reads every zip on them, once for each folder in it:
PySpark's own, and all jars. Here what outlives the first is not walked through again, and the zips' finders are
forgotten: an import makes them from what is known of the zip.
"""

import gc
import os
import sys
from typing import Any, Final
from zipimport import zipimporter

#: PySpark sets it where a worker serves more than one task.
REUSED: Final = "SPARK_REUSE_WORKER"


def keep_light() -> None:
    """From here on this process, where it is a reused worker, is light between tasks; a second call does nothing."""
    if REUSED in os.environ and _settled not in gc.callbacks:
        gc.callbacks.append(_settled)


def _settled(phase: str, info: dict[str, Any]) -> None:
    """After a full collection between tasks, when nothing that a task works on could be kept by it."""
    from pyspark import TaskContext

    if phase == "stop" and info["generation"] == 2 and TaskContext.get() is None:
        for path, finder in list(sys.path_importer_cache.items()):
            if isinstance(finder, zipimporter):
                sys.path_importer_cache.pop(path, None)
        gc.freeze()
