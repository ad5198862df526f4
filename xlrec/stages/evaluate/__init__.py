"""Evaluate: lists against the holdout, user by user, then means over users with bootstrap intervals.

`ground_truth` and `item_reach` are the same for all systems; `per_user` scores one system; `summarise` compares all.
Nothing user-sized leaves Spark: a task sends sums per slice, metric and replicate only.
"""

from xlrec.stages.evaluate.lists import counts, coverage, metric_names, per_user
from xlrec.stages.evaluate.summary import summarise
from xlrec.stages.evaluate.truth import ground_truth, item_reach

__all__ = ["counts", "coverage", "ground_truth", "item_reach", "metric_names", "per_user", "summarise"]
