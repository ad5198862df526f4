"""The pipeline: reads inputs and tables, calls stages, replaces tables, in order and under the lake's lease."""
