"""Evaluate: lists against the holdout, user by user, then means over users with bootstrap intervals.

`ground_truth` and `item_reach` are the same for all systems; `user_metrics` scores one system;
`summarise_metrics` compares all.
Nothing user-sized leaves Spark: a task sends sums per slice, metric and replicate only.
"""

from xlrec.stages.evaluate.lists import catalogue_coverage, user_metrics
from xlrec.stages.evaluate.summary import summarise_metrics
from xlrec.stages.evaluate.truth import ground_truth, item_reach

__all__ = ["catalogue_coverage", "ground_truth", "item_reach", "summarise_metrics", "user_metrics"]
