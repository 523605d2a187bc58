"""Words as numbers, in order of first appearance. Polars takes long to import, so import this for words only."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import polars as pl

from lstm_lm.tokens.tokenizer import LINE_END, SPACES

BUNDLE = 16
"""Pieces of text to number together; each call of Polars has a cost of its own."""


class Words:
    """Numbers the words of consecutive texts, and their line ends, through a categorical type of Polars."""

    def __init__(self) -> None:
        """Know no word yet."""
        self._categories = pl.Categories.random()
        self._type = pl.Categorical(self._categories)
        self._held = pl.Series([], dtype=self._type)  # Polars forgets categories that no series uses

    @property
    def types(self) -> list[str]:
        """The distinct words in order of first appearance."""
        return self._categories.to_series().to_list()

    def numbers(self, texts: Iterator[str]) -> Iterator[np.ndarray]:
        """The number of each word of consecutive texts, (words,), in the smallest unsigned type; some texts at a time.

        Words are what `Tokenizer.tokens` finds. The next texts are read and split while these are numbered.
        """
        bundles = iter(lambda: list(islice(texts, BUNDLE)), [])
        for words in _ahead(map(_words, bundles)):
            numbers = words.cast(self._type).to_physical().to_numpy()
            yield numbers.astype(np.min_scalar_type(numbers.max(initial=0)))


def _ahead(items: Iterator[pl.Series]) -> Iterator[pl.Series]:
    """The items; a thread makes the next one while the caller uses the one before it."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def _words(texts: list[str]) -> pl.Series:
    words = pl.Series(map(_spaced, texts), dtype=pl.String).str.split(" ").explode()
    return words.filter(words != "")


def _spaced(text: str) -> str:
    """The text with spaces alone between its words and around its line ends."""
    text = text.replace("\n", f" {LINE_END} ")
    for space in SPACES:
        text = text.replace(space, " ")
    return text
