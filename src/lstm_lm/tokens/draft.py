"""A corpus in draft: each token as the number of its type, in order of first appearance, in a file without a name.

The texts are read once, a piece at a time, so they may be larger than memory. When all of a text is read, the types'
frequencies are known, and the draft is read once more to give each token the id that its type has in the vocabulary.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from lstm_lm.atomic import NotWritten
from lstm_lm.tokens.cores import in_order
from lstm_lm.tokens.encoding import BLOCK_BYTES, decoded
from lstm_lm.tokens.tokenizer import Tokenizer

BUNDLE = 8
"""Pieces that are numbered together: they share types, and few enough of them for a processor's cache."""
_ASCII_SPACES = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "
_OTHER_SPACES = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""All other characters that `str.isspace` knows."""


class Part(NamedTuple):
    """A part of a text: token number i is `types[numbers[i]]`.

    `types` are in order of first appearance, `numbers` is (tokens,). The part has so many `characters`. Where letters
    only are kept, so many of them are `solid`, no white space, and so many of these are `kept`; otherwise both are 0.
    """

    types: list[str]
    numbers: np.ndarray
    characters: int
    solid: int
    kept: int


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


def bundles(texts: Iterator[str]) -> Iterator[list[str]]:
    """The texts, `BUNDLE` at a time."""
    return iter(lambda: list(islice(texts, BUNDLE)), [])


def number(tokenizer: Tokenizer, texts: list[str]) -> Part:
    """Normalise and tokenise consecutive pieces of a text and number their types."""
    types: defaultdict[str, int] = defaultdict(count().__next__)
    numbers, solid, kept = [], 0, 0
    for text in texts:
        normalized = tokenizer.normalize(text)
        tokens = tokenizer.tokens(normalized)
        if isinstance(tokens, str):
            numbers.append(_characters(tokens, types))
        else:
            numbers.append(np.fromiter(map(types.__getitem__, tokens), np.uint32, len(tokens)))
        if tokenizer.kept == "letters":
            solid += _solid(text)
            kept += len(normalized) - normalized.count(" ")
    smallest = np.min_scalar_type(max(len(types) - 1, 0))
    return Part(list(types), np.concatenate(numbers).astype(smallest), sum(map(len, texts)), solid, kept)


class Draft:
    """A corpus in draft.

    Attributes:
        parts: for each text the positions of its tokens in the draft.
        characters, solid, kept: sums over all parts of all texts.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the draft on the disk of `folder`, made if missing, until it is closed. Raises OSError."""
        self.folder, self.parts = folder, list[range]()
        self.characters = self.solid = self.kept = 0
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._counts = np.zeros(0, np.int64)
        self._blocks: list[tuple[int, np.dtype]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self.parts[-1].stop if self.parts else 0

    @property
    def types(self) -> list[str]:
        """The distinct tokens in order of first appearance."""
        return list(self._numbers)

    @property
    def counts(self) -> np.ndarray:
        """How often each type occurs, int64, (types,)."""
        return self._counts[: len(self._numbers)]

    @property
    def dropped_share(self) -> float:
        """The share of the texts' characters, white space apart, that the normalisation drops."""
        return (self.solid - self.kept) / self.solid if self.solid else 0.0

    def add(self, path: Path, tokenizer: Tokenizer, size: int = BLOCK_BYTES) -> None:
        """Tokenise the text in a file on all cores.

        Raises:
            ValueError: it is not UTF-8.
            OSError: the file cannot be read, or the draft cannot be written.
        """
        texts = bundles(pieces(path, tokenizer, size))
        tokens = sum(self._add(part) for part in in_order(partial(number, tokenizer), texts))
        self.parts.append(range(len(self), len(self) + tokens))

    def read(self, part: range) -> Iterator[np.ndarray]:
        """The type's number of each token at consecutive positions, a block at a time, (tokens,) each."""
        start, offset = 0, 0
        for tokens, kind in self._blocks:
            low, high = max(part.start, start), min(part.stop, start + tokens)
            if low < high:
                self._file.seek(offset + (low - start) * kind.itemsize)
                yield np.frombuffer(self._file.read((high - low) * kind.itemsize), kind)
            start, offset = start + tokens, offset + tokens * kind.itemsize

    def _add(self, part: Part) -> int:
        """Take a part in; the number of its tokens."""
        self.characters += part.characters
        self.solid += part.solid
        self.kept += part.kept
        if not part.types:
            return 0
        table = np.fromiter(map(self._numbers.__getitem__, part.types), np.int64, len(part.types))
        if len(self._counts) < len(self._numbers):
            self._counts = np.concatenate((self._counts, np.zeros(len(self._numbers), np.int64)))
        self._counts[table] += np.bincount(part.numbers)
        kind = np.min_scalar_type(len(self._numbers) - 1)
        self._write(table.astype(kind)[part.numbers])
        self._blocks.append((len(part.numbers), kind))
        return len(part.numbers)

    def _write(self, block: np.ndarray) -> None:
        try:
            rest = block.data.cast("B")
            while rest:  # nothing is held back: a full disk is noticed here, and not again when the file is closed
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise NotWritten(f"cannot write {self.folder}: {error.strerror or error}") from error


def _characters(text: str, types: dict[str, int]) -> np.ndarray:
    """The numbers of characters: tables over code points are several times as fast as the dictionary itself."""
    encoding, kind = ("ascii", "u1") if text.isascii() else ("utf-32-le", "<u4")
    points = np.frombuffer(text.encode(encoding), kind)
    first = np.full(int(points.max(initial=0)) + 1, len(points))
    first[points[::-1]] = np.arange(len(points) - 1, -1, -1)  # the last assignment to a point stays
    found = np.flatnonzero(first < len(points))
    found = found[np.argsort(first[found])]
    table = np.zeros(len(first), np.uint32)
    table[found] = [types[chr(point)] for point in found.tolist()]
    return table[points]


def _solid(text: str) -> int:
    """How many characters are no white space."""
    without = text.encode("ascii", "replace").translate(None, _ASCII_SPACES)
    return len(without) - sum(map(text.count, _OTHER_SPACES))
