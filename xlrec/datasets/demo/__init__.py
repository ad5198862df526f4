"""The demo world: a marketplace of eight markets and twelve languages whose right answers are known."""

from xlrec.datasets.demo.write import DemoSummary, write_demo

__all__ = ["DemoSummary", "write_demo"]
