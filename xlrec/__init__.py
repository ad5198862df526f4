"""xlrec: batch, offline, cross-lingual recommendations on Apache Spark.

import xlrec
lists = xlrec.read_recommendations(spark, "lake")
"""

from typing import TYPE_CHECKING, Any

from xlrec.runtime.scratch import use_cache

__version__ = "0.1.0"
__all__ = ["__version__", "read_recommendations"]

if TYPE_CHECKING:
    from xlrec.lake.readers import read_recommendations

use_cache()  # numba looks for it when the first kernel is imported


def __getattr__(name: str) -> Any:
    """`read_recommendations`, imported at its first use: workers and unit tests need no Delta."""
    if name == "read_recommendations":
        from xlrec.lake.readers import read_recommendations

        return read_recommendations
    raise AttributeError(f"module 'xlrec' has no attribute {name!r}")
