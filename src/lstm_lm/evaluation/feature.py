"""Named features of a text, a number for each token, which a unit of the LSTM may follow."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

import regex

from lstm_lm.evaluation.passage import positions
from lstm_lm.tokens.vocabulary import UNKNOWN

_QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“", "「": "」", "『": "』"}
_BRACKETS = {"(": ")", "[": "]", "{": "}", "\uff08": "\uff09", "【": "】"}


def features(pieces: Sequence[str], level: str) -> dict[str, list[float]]:
    """Name -> a number for each token of a text: a position as in `passage.positions`, otherwise 0 or 1."""
    place = positions(pieces, level)
    part, whole = ("letter", "word") if level == "char" else ("word", "line")
    found = {
        f"position in the {whole}": [float(position) for position in place],
        f"first {part} of a {whole}": [float(position == 1) for position in place],
        f"between {whole}s": [float(position == 0) for position in place],
        "inside quotation marks": list(_inside(pieces, _QUOTES)),
        "inside brackets": list(_inside(pieces, _BRACKETS)),
        "capital letter": _matching(pieces, r"\s?\p{Lu}.*"),
        "digit": _matching(pieces, r"\s?\p{N}.*"),
        "punctuation": _matching(pieces, r"\s?\p{P}+"),
        "unknown token": _matching(pieces, rf"\s?{UNKNOWN}"),
    }
    if level == "char":
        columns = accumulate(pieces, lambda column, piece: 0.0 if piece == "\n" else column + 1, initial=0.0)
        found["vowel"] = _matching(pieces, "[aeiouAEIOU]")
        found["position in the line"] = list(columns)[1:] if "\n" in pieces else [0.0] * len(pieces)
    return found


def _matching(pieces: Sequence[str], pattern: str) -> list[float]:
    matches = regex.compile(pattern).fullmatch
    return [float(bool(matches(piece))) for piece in pieces]


def _inside(pieces: Sequence[str], pairs: dict[str, str]) -> Iterator[float]:
    """1 from the token that opens a pair to the last one before it closes; an empty line closes it, too."""
    closing, before = "", ""
    for piece in pieces:
        for character in piece:
            closing = pairs.get(character, "") if not closing else "" if character == closing else closing
        if piece == before == "\n":
            closing = ""
        before = piece
        yield float(bool(closing))
