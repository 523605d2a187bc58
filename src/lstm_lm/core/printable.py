"""Text that others wrote, made fit for a terminal, which obeys control characters."""

import sys
import unicodedata
from typing import NoReturn, TextIO

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Not printable for Python, and part of ordinary Persian, Hindi and emoji."""


def say(text: str, file: TextIO | None = None) -> None:
    """Print a text whose parts others may have written: its lines, each `printable`."""
    print("\n".join(map(printable, text.split("\n"))), file=file, flush=True)


def fail(text: str) -> NoReturn:
    """`say` to stderr, and end the process with status 1."""
    say(text, sys.stderr)
    sys.exit(1)


def printable(text: str) -> str:
    r"""`text` in one line, with an escape such as \x1b for each character that is not printable."""
    return "".join(map(escaped, " ".join(text.splitlines())))


def escaped(character: str) -> str:
    """A character, or its escape if it is not printable."""
    if character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
