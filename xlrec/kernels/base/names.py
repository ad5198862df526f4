"""Names that tables, kernels and pages share."""

from typing import Final

#: BCP 47 code of a text whose language nobody knows.
UNKNOWN_LANGUAGE: Final = "und"
#: Market of a user whose market nobody knows (CLDR's code for an unknown region): only items sold everywhere.
UNKNOWN_MARKET: Final = "ZZ"
#: Sources of a recommendation, in the order in which ties between them are broken.
SOURCES: Final = ("similar", "covisited", "popular")
#: Source of the rows that fill a list up to k.
FALLBACK: Final = "fallback"
