"""Experiments that answer the exercises of the textbook's LSTM chapter: docs/exercises.md."""
