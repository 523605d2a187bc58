"""Words as numbers, in order of first appearance. Polars takes long to import, so import this for words only."""

import numpy as np
import polars as pl

from lstm_lm.tokens.tokenizer import LINE_END, SPACES


class Words:
    """Numbers the words of consecutive texts, and their line ends, through a categorical type of Polars."""

    bundle = 16
    """Pieces of text to number together; each call of Polars has a cost of its own."""

    def __init__(self) -> None:
        """Know no word yet."""
        self._categories = pl.Categories.random()
        self._type = pl.Categorical(self._categories)
        self._held = pl.Series([], dtype=self._type)  # Polars forgets categories that no series uses

    @property
    def types(self) -> list[str]:
        """The distinct words in order of first appearance."""
        return self._categories.to_series().to_list()

    def numbers(self, texts: list[str]) -> np.ndarray:
        """The number of each word of consecutive texts, (words,), in the smallest unsigned type.

        Words are what `Tokenizer.tokens` finds.
        """
        words = pl.Series(map(_spaced, texts), dtype=pl.String).str.split(" ").explode()
        numbers = words.filter(words != "").cast(self._type).to_physical().to_numpy()
        return numbers.astype(np.min_scalar_type(numbers.max(initial=0)))


def _spaced(text: str) -> str:
    """The text with spaces alone between its words and around its line ends."""
    text = text.replace("\n", f" {LINE_END} ")
    for space in SPACES:
        text = text.replace(space, " ")
    return text
