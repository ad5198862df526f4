"""Texts: cleaning, languages, n-grams, bags of tokens, quantised vectors."""
