"""Sums that do not depend on the order of rows."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

#: Binary digits of each of the two integers that a sum is made of; sums may reach 2^31 before they overflow (an error).
LIMB_BITS: Final = 32


def exact_sum(values: Column) -> Column:
    """Sum of doubles cut to 2^-64 each, added as integers: the same bits whatever the partitions; null for no rows.

    Floating-point addition is not associative, and a shuffle delivers rows in any order. A plain sum of doubles has
    other last bits in each run, and other ties. Two integers a value keep strongly decayed weights.
    """
    scale = F.lit(float(1 << LIMB_BITS))
    high = F.floor(values * scale)
    low = F.floor((values * scale - high) * scale)
    return F.sum(high) / scale + F.sum(low) / scale / scale
