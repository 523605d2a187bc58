"""From a text to its tokens and back: characters or words, of the whole text or of its letters only."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LINE_END = "<eos>"
"""The token that stands for a line's end between words."""
SPACES = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""All characters that `str.isspace` knows, in order."""

_LETTERS = bytes(
    ord("\n")
    if byte in b"\r\n"
    else ord(chr(byte).lower())
    if chr(byte).isascii() and chr(byte).isalpha()
    else ord(" ")
    for byte in range(256)
)
"""For each byte of ASCII its lower-case letter, the line end, or a space for everything else."""


@dataclass(frozen=True)
class Tokenizer:
    """`level` says what a token is; `kept` says how much of the text is kept (tokenize.normalize)."""

    level: Literal["char", "word"]
    kept: Literal["letters", "none"]

    def normalize(self, text: str) -> str:
        r"""What is kept of a text.

        letters, as in the textbook: in each line every run of characters outside A-Z and a-z becomes one space; the
        line is stripped and lower-cased; characters are joined with nothing between lines, words with a space.
        none: all of it, in Unicode's composed form (NFC); every line end is \n.
        """
        if self.kept == "letters":
            lines = text.encode("ascii", "replace").translate(_LETTERS).split(b"\n")
            joined = (b"" if self.level == "char" else b" ").join(map(bytes.strip, lines))
            return _single_spaced(joined).decode("ascii")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return unicodedata.normalize("NFC", text)

    def tokens(self, normalized: str) -> Sequence[str]:
        """The tokens of a normalised text: its characters, or its words at white space and its line ends."""
        if self.level == "char":
            return normalized
        return normalized.replace("\n", f" {LINE_END} ").split()

    def divides(self, before: str, after: str) -> bool:
        """Whether a text may be cut between two characters: its parts then have the tokens of the whole.

        No line end, word or combining sequence is cut, and no run of characters that letters turns into one space.
        """
        if before == "\r" and after == "\n":
            return False
        if self.level == "word":
            return after.isspace()
        if self.kept == "letters":
            return before in "\r\n" or ((before + after).isascii() and (before + after).isalpha())
        return not _combines(after)

    def spelled(self, tokens: Iterable[str]) -> Iterator[str]:
        """The piece of text that each token stands for; a word that follows a word begins with a space."""
        return iter(tokens) if self.level == "char" else _with_spaces(tokens)

    def join(self, tokens: Iterable[str]) -> str:
        """The text that the tokens stand for."""
        return "".join(self.spelled(tokens))


def one_line(text: str) -> str:
    """The text on one line, with an arrow for each line end."""
    return text.replace("\n", "↵")


def _single_spaced(text: bytes) -> bytes:
    """The text without each space that follows a space or nothing."""
    letters = np.frombuffer(text, np.uint8)
    kept = letters != ord(" ")
    kept[1:] |= kept[:-1]
    return letters[kept].tobytes()


def _combines(character: str) -> bool:
    """Whether NFC may join a character with the one before: marks, and the later letters of a Korean syllable."""
    return unicodedata.category(character).startswith("M") or "\u1160" <= character <= "\u11ff"


def _with_spaces(words: Iterable[str]) -> Iterator[str]:
    space = ""
    for word in words:
        yield "\n" if word == LINE_END else space + word
        space = "" if word == LINE_END else " "
