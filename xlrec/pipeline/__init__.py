"""The pipeline: reads inputs and tables, calls stages, replaces tables, in order and one run at a time."""
