"""Planted data whose right answers are known, tiny models, and programs run in this process."""
