"""Forecast of a night before it runs: seconds by stage, memory, disk and shuffles, from the inputs' sizes."""
