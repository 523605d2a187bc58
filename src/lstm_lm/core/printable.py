"""Text that others wrote, made fit for a message: a terminal obeys control characters."""

import unicodedata

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Not printable for Python, and part of ordinary Persian, Hindi and emoji."""


def printable(text: str) -> str:
    r"""`text` in one line, with an escape such as \x1b for each character that is not printable."""
    return "".join(_shown(character) for character in " ".join(text.splitlines()))


def _shown(character: str) -> str:
    if character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
