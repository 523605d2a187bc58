"""Corpora: which are known, where each one comes from, how it gets here."""
