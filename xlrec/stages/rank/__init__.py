"""Rank: sources fused, copies collapsed, diversity and languages weighed, lists filled to k, with reasons."""

from xlrec.stages.rank.rows import rank_candidates, ranking_in_worker

__all__ = ["rank_candidates", "ranking_in_worker"]
