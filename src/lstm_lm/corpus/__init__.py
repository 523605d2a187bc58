"""Corpora: the record of each one, where its files can be had, how they get here."""
