"""Rank: sources fused, copies collapsed, diversity and languages weighed, lists filled to k, with reasons."""

from xlrec.stages.rank.rows import rank, ranking

__all__ = ["rank", "ranking"]
