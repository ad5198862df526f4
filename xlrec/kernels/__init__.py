"""Kernels: arrays in, arrays out; no Spark, no I/O, no clock."""
