"""Histories of users: profiles, co-visits, factorisation."""
