"""A corpus in draft: each token as the number of its type, in order of first appearance, in a file without a name.

The texts are read once, a piece at a time, so they may be larger than memory. When all of a text is read, the types'
frequencies are known, and the draft is read once more to give each token the id that its type has in the vocabulary.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from lstm_lm.tokens.cores import in_order
from lstm_lm.tokens.encoding import BLOCK_BYTES, decoded
from lstm_lm.tokens.tokenizer import Tokenizer

_WHITE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""All characters that `str.isspace` knows."""


class Piece(NamedTuple):
    """A piece of a text: token number i is `types[numbers[i]]`.

    `types` are in order of first appearance, `numbers` is (tokens,). The piece has so many `characters`, of which so
    many are `solid`, no white space; `kept` counts the solid ones of the normalised piece.
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


def number(tokenizer: Tokenizer, text: str) -> Piece:
    """Normalise and tokenise a piece of a text and number its types."""
    normalized = tokenizer.normalize(text)
    tokens = tokenizer.tokens(normalized)
    types, numbers = _characters(tokens) if isinstance(tokens, str) else _words(tokens)
    return Piece(types, numbers, len(text), _solid(text), _solid(normalized))


class Draft:
    """A corpus in draft.

    Attributes:
        parts: for each text the positions of its tokens in the draft.
        characters, solid, kept: sums over all pieces.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the draft on the disk of `folder`, made if missing, until it is closed. Raises OSError."""
        self.folder, self.parts = folder, list[range]()
        self.characters = self.solid = self.kept = 0
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._counts = np.zeros(0, np.int64)
        self._blocks: list[tuple[int, np.dtype]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

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
        tokens = sum(self._add(piece) for piece in in_order(partial(number, tokenizer), pieces(path, tokenizer, size)))
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

    def _add(self, piece: Piece) -> int:
        """Take a piece in; the number of its tokens."""
        self.characters, self.solid, self.kept = (
            sum(pair) for pair in zip((self.characters, self.solid, self.kept), piece[2:], strict=True)
        )
        if not piece.types:
            return 0
        table = np.fromiter(map(self._numbers.__getitem__, piece.types), np.int64, len(piece.types))
        if len(self._counts) < len(self._numbers):
            self._counts = np.concatenate((self._counts, np.zeros(len(self._numbers), np.int64)))
        self._counts[table] += np.bincount(piece.numbers)
        kind = np.min_scalar_type(len(self._numbers) - 1)
        self._write(table.astype(kind)[piece.numbers])
        self._blocks.append((len(piece.numbers), kind))
        return len(piece.numbers)

    def _write(self, block: np.ndarray) -> None:
        try:
            self._file.write(block.data)
            self._file.flush()
        except OSError as error:
            raise OSError(f"cannot write {self.folder}: {error.strerror or error}") from error


def _words(words: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """The types and numbers of words."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    found = np.fromiter(map(numbers.__getitem__, words), np.uint32)
    return list(numbers), found


def _characters(text: str) -> tuple[list[str], np.ndarray]:
    """The types and numbers of characters: tables over code points are several times as fast as a dictionary."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    first = np.full(points.max(initial=0) + 1, len(points))
    first[points[::-1]] = np.arange(len(points) - 1, -1, -1)  # the last assignment to a point stays
    found = np.flatnonzero(first < len(points))
    found = found[np.argsort(first[found])]
    table = np.zeros(len(first), np.min_scalar_type(max(len(found) - 1, 0)))
    table[found] = np.arange(len(found))
    return list(map(chr, found.tolist())), table[points]


def _solid(text: str) -> int:
    return len(text) - sum(map(text.count, _WHITE))
