"""A corpus in draft: each token as the number of its type, in order of first appearance, in a file without a name.

The texts are read once, a piece at a time, so they may be larger than memory. When all of a text is read, the types'
frequencies are known, and the draft is read once more to give each token the id that its type has in the vocabulary.
"""

import functools
import resource
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from lstm_lm.core.atomic import NotWritten
from lstm_lm.tokens.characters import Characters
from lstm_lm.tokens.encoding import BLOCK_BYTES, decoded
from lstm_lm.tokens.tokenizer import LINE_END, SPACES, Tokenizer

if TYPE_CHECKING:
    from lstm_lm.tokens.words import Words


MANY_LETTERS = 0.005
"""Share of a text's letters that are not a to z: more than English prose has by its foreign words."""

POLARS_BYTES = 2**31
"""Address space that Polars may need for words; where it gets less, it ends the whole process."""


def pieces(path: Path, tokenizer: Tokenizer, size: int = BLOCK_BYTES) -> Iterator[str]:
    """The text in a file, cut where `tokenizer` allows it, about `size` bytes at a time.

    Raises:
        ValueError: it is not UTF-8.
        OSError: the file cannot be read.
    """
    held = ""
    for block in decoded(path, size):
        text = held + block
        places = range(len(text) - 1, max(len(held), 1) - 1, -1)
        cut = next((place for place in places if tokenizer.divides(text[place - 1], text[place])), 0)
        if cut:
            yield text[:cut]
        held = text[cut:]
    yield held


class Draft:
    """A corpus in draft.

    Attributes:
        parts: for each text the positions of its tokens in the draft.
        lengths: for each text how many tokens level `char` makes of it.
        characters: of all texts.
        types: the distinct tokens in order of first appearance.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        """Keep the draft on the disk of `folder`, made if missing, until it is closed. Raises OSError."""
        self.folder, self.tokenizer = folder, tokenizer
        self.parts, self.lengths = list[range](), list[int]()
        self.characters, self.types = 0, list[str]()
        self._numbering = _numbering(tokenizer)
        self._counts = np.zeros(1, np.int64)  # with room for more types
        self._solid = self._other_letters = self._line_ends = 0
        self._blocks: list[tuple[int, np.dtype]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        del self._numbering  # a large vocabulary is about to be written, and needs its memory

    def __len__(self) -> int:
        return self.parts[-1].stop if self.parts else 0

    @property
    def counts(self) -> np.ndarray:
        """How often each type occurs, int64, (types,)."""
        return self._counts[: len(self.types)]

    @property
    def literal_line_ends(self) -> int:
        """How many words of the texts are themselves the token that stands for a line end."""
        return int(self.counts[self.types.index(LINE_END)]) - self._line_ends if LINE_END in self.types else 0

    @property
    def dropped_share(self) -> float:
        """The share of the texts' characters, white space apart, that the normalisation drops."""
        return (self._solid - self._kept) / self._solid if self._solid else 0.0

    @property
    def lost_letters(self) -> float:
        """The share of the texts' letters that the normalisation drops, since they are not a to z."""
        return self._other_letters / (self._other_letters + self._kept) if self._other_letters else 0.0

    @property
    def _kept(self) -> int:
        """How many characters of the texts the tokens have, spaces apart."""
        return sum(
            count * len(token) for token, count in zip(self.types, self.counts.tolist(), strict=True) if token != " "
        )

    def add(self, path: Path, size: int = BLOCK_BYTES) -> None:
        """Tokenise the text in a file, in pieces of about `size` bytes.

        Raises:
            ValueError: it is not UTF-8.
            OSError: the file cannot be read, or the draft cannot be written.
        """
        start = end = len(self)
        for numbers in self._numbering.numbers(self._normalized(path, size)):
            self._add(numbers)
            end += len(numbers)
        self.parts.append(range(start, end))
        self.lengths.append(end - start if self.tokenizer.level == "char" else self._characters(path, size))
        self.types = self._numbering.types

    def read(self, part: range) -> Iterator[np.ndarray]:
        """The type's number of each token at consecutive positions, a block at a time, (tokens,) each."""
        start, offset = 0, 0
        for tokens, kind in self._blocks:
            low, high = max(part.start, start), min(part.stop, start + tokens)
            if low < high:
                self._file.seek(offset + (low - start) * kind.itemsize)
                yield np.frombuffer(self._file.read((high - low) * kind.itemsize), kind)
            start, offset = start + tokens, offset + tokens * kind.itemsize

    def _normalized(self, path: Path, size: int) -> Iterator[str]:
        """The pieces of a text, normalised; what the draft tells of all characters is counted on the way."""
        for text in pieces(path, self.tokenizer, size):
            self.characters += len(text)
            if self.tokenizer.kept == "letters":
                self._solid += _solid(text)
                self._other_letters += other_letters(text)
            normalized = self.tokenizer.normalize(text)
            self._line_ends += normalized.count("\n")
            yield normalized

    def _characters(self, path: Path, size: int) -> int:
        """How many tokens level `char` makes of the text in a file."""
        characters = Tokenizer("char", self.tokenizer.kept)
        return sum(len(characters.normalize(text)) for text in pieces(path, characters, size))

    def _add(self, numbers: np.ndarray) -> None:
        """Count and write consecutive tokens."""
        while numbers.max(initial=0) >= len(self._counts):
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        np.add.at(self._counts, numbers, 1)
        self._write(numbers)
        self._blocks.append((len(numbers), numbers.dtype))

    def _write(self, block: np.ndarray) -> None:
        try:
            rest = block.data.cast("B")
            while rest:  # nothing is held back: a full disk is noticed here, and not again when the file is closed
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise NotWritten(f"cannot write {self.folder}: {error.strerror or error}") from error


def _numbering(tokenizer: Tokenizer) -> "Characters | Words":
    if tokenizer.level == "char":
        return Characters()
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if 0 <= limit < POLARS_BYTES:  # unlimited is -1
        raise ValueError(
            f"ulimit -v is {limit // 1024}; "
            f"for tokenize.level word it must be unlimited or at least {POLARS_BYTES // 1024}"
        )
    from lstm_lm.tokens.words import Words

    return Words()


def _solid(text: str) -> int:
    """How many characters are no white space."""
    points = np.frombuffer(text.encode("ascii", "replace"), np.uint8)
    white = (points - 9 < 5) | (points - 28 < 5)  # those of ASCII
    return len(text) - int(np.count_nonzero(white)) - sum(map(text.count, SPACES[10:]))


def other_letters(text: str) -> int:
    """How many letters are not a to z. A mark that combines with the letter before it counts as one."""
    if text.isascii():
        return 0
    return int(np.count_nonzero(_are_other_letters()[np.frombuffer(text.encode("utf-32-le"), "<u4")]))


@functools.cache
def _are_other_letters() -> np.ndarray:
    """Which of all code points are such letters, bool, (sys.maxunicode + 1,)."""
    characters = map(chr, range(128, sys.maxunicode + 1))
    found = (character.isalpha() or unicodedata.combining(character) > 0 for character in characters)
    return np.concatenate((np.zeros(128, bool), np.fromiter(found, bool)))
