"""Metrics, intervals, places."""
