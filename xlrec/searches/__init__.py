"""What a night's search proved, kept for the next one, so that only what changed is searched for again."""

from xlrec.searches.files import KEPT, Kept, finish, n_told, whole
from xlrec.searches.search import Search, Searched, searched

__all__ = ["KEPT", "Kept", "Search", "Searched", "finish", "n_told", "searched", "whole"]
