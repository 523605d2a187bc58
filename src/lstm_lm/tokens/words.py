"""Words as numbers, in order of first appearance. Polars takes long to import, so import this for words only."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import polars as pl

from lstm_lm.tokens.tokenizer import LINE_END, SPACES

BUNDLE = 16
"""Pieces of text to number together; each call of Polars has a cost of its own."""
SLOTS = np.uint64(2**20)
"""Many more than a bundle has types."""

_Item = TypeVar("_Item")


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
        for words, places in _ahead(map(_fewer, map(_words, bundles))):
            numbers = words.cast(self._type).to_physical().to_numpy()
            yield numbers.astype(np.min_scalar_type(numbers.max(initial=0))).take(places)


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The items; a thread makes the next one while the caller uses the one before it."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def _words(texts: list[str]) -> pl.Series:
    words = pl.Series(map(_spaced, texts), dtype=pl.String).str.split(" ").explode()
    return words.filter(words != "")


def _fewer(words: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Far fewer words, in order of first appearance, and the place among them of each of `words`, (words,).

    Polars takes long to look a word up among all types of a large text. So a word refers to the first one of the bundle
    with the same slot, if that is the same word. A word whose slot another word took stays as often as it occurs.
    """
    slots, places = words.hash().to_numpy() % SLOTS, np.arange(len(words))
    first = np.empty(SLOTS, np.intp)
    first[slots[::-1]] = places[::-1]  # the last assignment to a slot stays
    first = first[slots]
    first = np.where(words.gather(first) == words, first, places)
    kept = first == places
    return words.filter(kept), (np.cumsum(kept) - 1)[first]


def _spaced(text: str) -> str:
    """The text with spaces alone between its words and around its line ends."""
    text = text.replace("\n", f" {LINE_END} ")
    for space in SPACES:
        text = text.replace(space, " ")
    return text
