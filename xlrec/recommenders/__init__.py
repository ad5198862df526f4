"""Recommenders that learn from interactions: co-visitation, popularity, ALS, the factor model."""
