"""Rank: sources fused, copies collapsed, diversity and languages weighed, lists filled to k, with reasons."""

from xlrec.stages.rank.examples import examples
from xlrec.stages.rank.lists import shortlist_of, weighted
from xlrec.stages.rank.rows import rank, ranking

__all__ = ["examples", "rank", "ranking", "shortlist_of", "weighted"]
