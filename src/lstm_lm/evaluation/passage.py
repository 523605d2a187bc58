"""The passage of a split that is shown token by token, and the position of each token in its word or line.

A text is a sequence of pieces, one for each token: characters, or words with the space before them; a line end is a
newline.
"""

from collections.abc import Sequence

import regex

_LETTER = regex.compile(r"[\p{L}\p{M}\p{N}'\u2019]")
LAST_POSITION = 10
"""Stands for all later positions, too."""


def choose(pieces: Sequence[str], length: int) -> range:
    """The numbers of at most `length` tokens from the middle of a text: whole words, or whole lines of words.

    Without such an edge in reach, the passage is cut between characters, never before a combining mark. The first token
    of a text is in no passage, since nothing precedes it.
    """
    middle = max(1, min(len(pieces) // 2, len(pieces) - length))
    first = _edge(pieces, range(middle, min(middle + length, len(pieces))))
    last = min(first + length, len(pieces))
    return range(first, _edge(pieces, range(last, first + length // 2, -1)))


def _edge(pieces: Sequence[str], numbers: range) -> int:
    """The first of `numbers` before which a word or line ends, else a character; else the first of all."""
    whole = (number for number in numbers if number == len(pieces) or pieces[number - 1].isspace())
    between = (number for number in numbers if not regex.fullmatch(r"\X", pieces[number - 1] + pieces[number]))
    return next(whole, None) or next(between, None) or numbers.start


def positions(pieces: Sequence[str], level: str) -> list[int]:
    """The position of each token, 1 to LAST_POSITION: of a character in its word, of a word in its line.

    0 is between words and at the end of a line. Without line ends, all positions of words are 0.
    """
    if level == "word":
        inside = [not piece.isspace() for piece in pieces] if "\n" in pieces else [False] * len(pieces)
    else:
        inside = [bool(_LETTER.fullmatch(piece)) for piece in pieces]
    counted, position = [], 0
    for is_inside in inside:
        position = min(position + 1, LAST_POSITION) if is_inside else 0
        counted.append(position)
    return counted
