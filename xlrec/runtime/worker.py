"""Cheap pauses of a Python worker between two tasks; 0.3 s a task otherwise, with torch and numba imported.

PySpark collects garbage after every task, through all objects that were ever imported. Before the next task it
invalidates the import caches, for which Python before 3.13 reads every zip on the path once for each folder in it:
PySpark's own, and all jars. Here, objects that outlive the first collection are frozen, and the zips' finders are
dropped: an import makes them anew from the zip's cached directory.
"""

import gc
import os
import sys
from typing import Any, Final
from zipimport import zipimporter

#: PySpark sets it where a worker serves more than one task.
REUSED: Final = "SPARK_REUSE_WORKER"


def keep_worker_light() -> None:
    """Makes this process cheap between tasks, where it is a reused worker; a second call does nothing."""
    if REUSED in os.environ and _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)


def _freeze(phase: str, info: dict[str, Any]) -> None:
    """Callback of a full collection between tasks, when no task's own objects are alive."""
    from pyspark import TaskContext

    if phase == "stop" and info["generation"] == 2 and TaskContext.get() is None:
        for path, finder in list(sys.path_importer_cache.items()):
            if isinstance(finder, zipimporter):
                sys.path_importer_cache.pop(path, None)
        gc.freeze()
