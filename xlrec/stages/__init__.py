"""Stages: DataFrames and config in, DataFrames out; one file per box of the flow."""
