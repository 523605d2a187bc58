"""From a text to its tokens and back: characters or words, of the whole text or of its letters only."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

LINE_END = "<eos>"
"""The token that stands for a line's end between words."""


@dataclass(frozen=True)
class Tokenizer:
    """`level` says what a token is; `kept` says how much of the text is kept (tokenize.normalize)."""

    level: Literal["char", "word"]
    kept: Literal["letters", "none"]

    @classmethod
    def of(cls, vocabulary: Sequence[str]) -> "Tokenizer":
        """The tokenizer that a vocabulary was made with, as its tokens tell; its first one, `<unk>`, tells nothing.

        Words are longer than a character, and `letters` leaves only a to z and spaces. Where a text is such that its
        tokens do not tell, both tokenizers read it alike.
        """
        known = vocabulary[1:]
        level = "word" if any(len(token) > 1 for token in known) else "char"
        return cls(level, "none" if re.search("[^a-z ]", "".join(known)) else "letters")

    def normalize(self, text: str) -> str:
        r"""What is kept of a text.

        letters, as in the textbook: in each line every run of characters outside A-Z and a-z becomes one space; the
        line is stripped and lower-cased; characters are joined with nothing between lines, words with a space.
        none: all of it, in Unicode's composed form (NFC); every line end is \n.
        """
        lines = re.split("\r\n|\r|\n", text)
        if self.kept == "none":
            return unicodedata.normalize("NFC", "\n".join(lines))
        between = "" if self.level == "char" else " "
        return between.join(re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in lines)

    def tokens(self, normalized: str) -> Sequence[str]:
        """The tokens of a normalised text: its characters, or its words at white space and its line ends."""
        if self.level == "char":
            return normalized
        return normalized.replace("\n", f" {LINE_END} ").split()

    def spelled(self, tokens: Iterable[str]) -> Iterator[str]:
        """The piece of text that each token stands for; a word that follows a word begins with a space."""
        return iter(tokens) if self.level == "char" else _with_spaces(tokens)

    def join(self, tokens: Iterable[str]) -> str:
        """The text that the tokens stand for."""
        return "".join(self.spelled(tokens))


def one_line(text: str) -> str:
    """The text on one line, with an arrow for each line end."""
    return text.replace("\n", "↵")


def _with_spaces(words: Iterable[str]) -> Iterator[str]:
    space = ""
    for word in words:
        yield "\n" if word == LINE_END else space + word
        space = "" if word == LINE_END else " "
