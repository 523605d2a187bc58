"""The passage of a split that is looked at token by token, and where in its word or sentence each token stands.

Texts come as pieces, one for each token: characters, or words with the space before them, a line end as a newline.
"""

from collections.abc import Sequence

import regex

_LETTER = regex.compile(r"[\p{L}\p{M}\p{N}'\u2019]")
LAST_POSITION = 10
"""Stands for itself and all later positions."""


def choose(pieces: Sequence[str], length: int) -> range:
    """The numbers of at most `length` tokens from the middle of a text: whole words, or whole lines of words.

    A passage without such an edge in reach is cut between characters, never before a combining mark. The first token
    of a text is in no passage, as nothing precedes it.
    """
    middle = max(1, min(len(pieces) // 2, len(pieces) - length))
    first = _edge(pieces, range(middle, min(middle + length, len(pieces))))
    last = min(first + length, len(pieces))
    return range(first, _edge(pieces, range(last, first + length // 2, -1)))


def _edge(pieces: Sequence[str], numbers: range) -> int:
    """The first of the numbers before which a word or line ends, or else a character; the first one if none does."""
    whole = (number for number in numbers if number == len(pieces) or pieces[number - 1].isspace())
    between = (number for number in numbers if not regex.fullmatch(r"\X", pieces[number - 1] + pieces[number]))
    return next(whole, None) or next(between, None) or numbers.start


def positions(pieces: Sequence[str], level: str) -> list[int]:
    """Where each token stands, from 1 to LAST_POSITION: characters in the word, words in the line.

    0 is between words and at a line's end. Without line ends there are no positions of words: all are 0.
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
