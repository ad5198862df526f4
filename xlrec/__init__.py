"""xlrec: batch, offline, cross-lingual recommendations on Apache Spark.

import xlrec
lists = xlrec.read_recommendations(spark, "lake")
"""

from typing import TYPE_CHECKING, Any

from xlrec.runtime.scratch import offer
from xlrec.runtime.worker import keep_light

__version__ = "0.1.0"
__all__ = ["__version__", "read_recommendations"]

if TYPE_CHECKING:
    from xlrec.lake.readers import read_recommendations

keep_light()
offer()


def __getattr__(name: str) -> Any:
    """`read_recommendations`, imported when first asked for: workers and unit tests need no Delta."""
    if name == "read_recommendations":
        from xlrec.lake.readers import read_recommendations

        return read_recommendations
    raise AttributeError(f"module 'xlrec' has no attribute {name!r}")
